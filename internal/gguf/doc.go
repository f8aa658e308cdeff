// Package gguf reads and writes GGUF, the model file format of ggml.
//
// A file is a header (magic, version, counts), key-value metadata, a table of
// tensors, and an aligned data section:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
//
// The reader trusts nothing: every length is checked against the bytes that
// are left before anything is allocated for it, and every tensor must lie
// inside the file without touching another. Versions 2 and 3, little-endian.
// Tensor data is memory-mapped and stays in the page cache; it is never
// copied. A model split over several files reads as one.
//
// The writer streams: it knows all shapes beforehand, writes the header once
// and takes the data in order, into a temporary file that is renamed only
// when complete.
package gguf
