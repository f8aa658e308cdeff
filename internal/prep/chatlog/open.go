package chatlog

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	kflate "github.com/klauspost/compress/flate"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// stream is an open source; closing it closes all that it is made of.
type stream struct {
	io.Reader
	closers []func() error
}

func (s *stream) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// counted tells progress the bytes that are read from a file.
type counted struct {
	io.Reader
	progress func(int64)
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 && c.progress != nil {
		c.progress(int64(n))
	}
	return n, err
}

// open opens a source and undoes its compression.
func (src source) open(progress func(int64)) (*stream, error) {
	s, err := src.raw()
	if err != nil {
		return nil, fmt.Errorf("open session log: %w", err)
	}
	s.Reader = counted{s.Reader, progress}
	if err := s.expand(); err != nil {
		return nil, errors.Join(fmt.Errorf("open session log %s: %w", src.name, err), s.Close())
	}
	return s, nil
}

// raw opens the bytes as they are stored: a file, or one file of an archive.
func (src source) raw() (*stream, error) {
	if src.entry == "" {
		f, err := os.Open(src.path)
		if err != nil {
			return nil, err
		}
		return &stream{Reader: f, closers: []func() error{f.Close}}, nil
	}
	archive, err := zip.OpenReader(src.path)
	if err != nil {
		return nil, err
	}
	entry, err := openEntry(archive, src.entry)
	if err != nil {
		return nil, errors.Join(err, archive.Close())
	}
	return &stream{Reader: entry, closers: []func() error{archive.Close, entry.Close}}, nil
}

// openEntry opens a file of an archive by its name, whatever that is: nothing
// is unpacked to it.
func openEntry(archive *zip.ReadCloser, name string) (io.ReadCloser, error) {
	for _, f := range archive.File {
		if f.Name == name {
			return f.Open()
		}
	}
	return nil, fmt.Errorf("%s in the archive: %w", name, fs.ErrNotExist)
}

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	zipMagic  = []byte("PK\x03\x04")
)

// expand looks at the first bytes and decompresses what is compressed.
func (s *stream) expand() error {
	head := make([]byte, 4)
	n, err := io.ReadFull(s.Reader, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	s.Reader = io.MultiReader(bytes.NewReader(head[:n]), s.Reader)
	switch {
	case bytes.HasPrefix(head[:n], gzipMagic):
		z, err := kgzip.NewReader(s.Reader)
		if err != nil {
			return err
		}
		s.Reader = z
		s.closers = append(s.closers, z.Close)
	case bytes.HasPrefix(head[:n], zstdMagic):
		z, err := zstd.NewReader(s.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxZstd))
		if err != nil {
			return err
		}
		s.Reader = z
		s.closers = append(s.closers, func() error { z.Close(); return nil })
	}
	return nil
}

// maxZstd bounds the window that a compressed file may ask for, bytes.
const maxZstd = 128 << 20

// damaged tells whether reading failed because of what a file holds, not
// because of the machine.
func damaged(err error) bool {
	for _, kind := range []error{
		gzip.ErrHeader, gzip.ErrChecksum, kgzip.ErrHeader, kgzip.ErrChecksum, io.ErrUnexpectedEOF, zip.ErrFormat,
		zip.ErrChecksum, zip.ErrAlgorithm, zstd.ErrCRCMismatch, zstd.ErrMagicMismatch, zstd.ErrDecoderSizeExceeded,
		zstd.ErrWindowSizeExceeded, zstd.ErrReservedBlockType, zstd.ErrCompressedSizeTooBig, zstd.ErrUnexpectedBlockSize,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	var corrupt flate.CorruptInputError
	var kcorrupt kflate.CorruptInputError
	return errors.As(err, &corrupt) || errors.As(err, &kcorrupt)
}
