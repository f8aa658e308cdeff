package dataset

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// How a file of records may be packed.
const (
	packedGzip = "gzip"
	packedZstd = "zstd"
)

// maxZstd bounds the window that a file may ask for, bytes.
const maxZstd = 256 << 20

// Open opens a file of records or a pipe, as Unpack reads it.
func Open(ctx context.Context, path string, progress func(bytes int64)) (io.ReadCloser, error) {
	f, err := openFile(ctx, path)
	if err != nil {
		return nil, err
	}
	r, err := Unpack(ctx, endless(ctx, f), progress)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return &opened{ReadCloser: r, file: f}, nil
}

// openFile opens a file, or a pipe as soon as something writes to it.
func openFile(ctx context.Context, path string) (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	done := make(chan result)
	go func() {
		f, err := os.Open(path)
		select {
		case done <- result{f, err}:
		case <-ctx.Done():
			f.Close() // nil if err is not
		}
	}()
	select {
	case r := <-done:
		return r.f, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// endless makes reading end with ctx where it may wait for ever.
func endless(ctx context.Context, f *os.File) io.Reader {
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		return f
	}
	return Interruptible(ctx, f)
}

// IsPipe tells whether path is one: what was read of it is gone.
func IsPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// Size is the bytes of the files on the disk, or -1 where one has no size.
func Size(paths []string) (n int64) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return -1
		}
		n += info.Size()
	}
	return n
}

// opened closes what it is read from, too.
type opened struct {
	io.ReadCloser
	file *os.File
}

func (o *opened) Close() error { return errors.Join(o.ReadCloser.Close(), o.file.Close()) }

// Unpack reads what r holds, undoing gzip or zstd, which its first bytes tell,
// until ctx is done. Progress, if it is not nil, is told the bytes of r.
func Unpack(ctx context.Context, r io.Reader, progress func(bytes int64)) (io.ReadCloser, error) {
	from := &source{ctx: ctx, r: r, progress: progress}
	packed := bufio.NewReaderSize(from, 64<<10)
	head, _ := packed.Peek(4) // why there are fewer is found out by reading on
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, from.because(packedGzip, err)
		}
		return &unpacked{Reader: z, how: packedGzip, from: from, close: z.Close}, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxZstd))
		if err != nil {
			return nil, from.because(packedZstd, err)
		}
		return &unpacked{Reader: z, how: packedZstd, from: from, close: func() error { z.Close(); return nil }}, nil
	}
	return io.NopCloser(packed), nil
}

// source is what a file holds, as it is stored.
type source struct {
	ctx      context.Context
	r        io.Reader
	progress func(int64)
	err      error // why it could not be read
}

func (s *source) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if n > 0 && s.progress != nil {
		s.progress(int64(n))
	}
	if !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// because tells damage from a file that cannot be read.
func (s *source) because(how string, err error) error {
	if s.err != nil {
		return s.err
	}
	return &DamagedError{How: how, Err: err}
}

// unpacked is the content of a packed file.
type unpacked struct {
	io.Reader
	how   string
	from  *source
	close func() error
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = u.from.because(u.how, err)
	}
	return n, err
}

func (u *unpacked) Close() error { return u.close() }

// DamagedError is that a packed file is cut short or not what was packed.
type DamagedError struct {
	How string // gzip or zstd
	Err error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("unpack %s: %v", e.How, e.Err) }

// Unwrap returns the reason.
func (e *DamagedError) Unwrap() error { return e.Err }
