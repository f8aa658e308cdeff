// Package newmodel writes a GGUF model that has learned nothing yet: weights
// drawn at random, a vocabulary trained on given text or taken from another
// file, and all the metadata that libllama and the trainer read. `qlora init` is
// its command; the embedded model begins here, and Synthetic stands in for
// published models where speed and memory are measured.
package newmodel
