package split

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/qlora/qlora/internal/prep/extsort"
)

// How an input that is not JSON lines is packed.
const (
	packedGzip  = "gzip"
	packedZstd  = "zstd"
	packedArray = "array" // one JSON array of records
)

// openInputs opens the inputs for reading at any place. Compressed files and
// JSON arrays are written out as JSON lines first, into files without a name
// in dir.
func openInputs(ctx context.Context, inputs []*Input, dir string) (closeAll func(), err error) {
	closeAll = func() {
		for _, in := range inputs {
			if in.file != nil {
				in.file.Close() // only read, or without a name
			}
		}
	}
	for _, in := range inputs {
		if err := in.open(ctx, dir); err != nil {
			closeAll()
			return nil, fmt.Errorf("data file %s: %w", in.Path, err)
		}
	}
	return closeAll, nil
}

func (in *Input) open(ctx context.Context, dir string) (err error) {
	if in.file, err = os.Open(in.Path); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	in.size = in.Bytes
	head := make([]byte, 512)
	n, err := in.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read: %w", err)
	}
	if in.Packed = packing(head[:n]); in.Packed == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("make the folder of the outputs: %w", err)
	}
	packed := in.file
	defer packed.Close() // only read
	if in.file, err = extsort.Unnamed(dir); err != nil {
		return err
	}
	return in.unpack(ctx, packed)
}

// packing tells by its first bytes how a file is packed; "" is not at all.
func packing(head []byte) string {
	text := bytes.TrimLeftFunc(bytes.TrimPrefix(head, []byte("\ufeff")), unicode.IsSpace)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return packedGzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return packedZstd
	case bytes.HasPrefix(text, []byte("[")) && !lineOfArray(text):
		return packedArray
	default:
		return ""
	}
}

// lineOfArray tells whether text begins with a line that is an array of its
// own: a broken line among JSON lines, not a file that is one array.
func lineOfArray(text []byte) bool {
	line, rest, more := bytes.Cut(text, []byte("\n"))
	return more && len(bytes.TrimSpace(rest)) > 0 && json.Valid(line)
}

// unpack writes the records as lines to in.file, as far as they can be read.
func (in *Input) unpack(ctx context.Context, packed io.Reader) error {
	sum := sha256.New()
	packed = io.TeeReader(packed, sum)
	plain, closePlain, err := decompress(packed, in.Packed)
	if err != nil {
		in.torn = err
		plain, closePlain = bytes.NewReader(nil), func() {}
	}
	defer closePlain()
	r := bufio.NewReaderSize(&cancelReader{ctx, plain}, 1<<20)
	w := bufio.NewWriterSize(in.file, 1<<20)
	head, _ := r.Peek(512) // a short file is found out below
	switch {
	case in.torn != nil:
	case packing(head) == packedArray:
		in.torn = writeLines(w, r)
	default:
		_, in.torn = io.Copy(w, r)
	}
	if err := errors.Join(ctx.Err(), w.Flush()); err != nil {
		return fmt.Errorf("unpack %s: %w", in.Packed, err)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil { // what lies behind the data counts for the hash
		return fmt.Errorf("read: %w", err)
	}
	in.SHA256 = hex.EncodeToString(sum.Sum(nil))
	in.size, err = in.file.Seek(0, io.SeekEnd)
	return err
}

func decompress(r io.Reader, how string) (plain io.Reader, closeAll func(), err error) {
	switch how {
	case packedGzip:
		z, err := gzip.NewReader(r)
		return z, func() {}, err
	case packedZstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	default:
		return r, func() {}, nil
	}
}

// cancelReader ends when its context does.
type cancelReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, c.ctx.Err()
	}
	return c.r.Read(p)
}

// writeLines writes each element of a JSON array as one line.
func writeLines(w *bufio.Writer, r *bufio.Reader) error {
	if head, _ := r.Peek(3); bytes.Equal(head, []byte("\ufeff")) {
		if _, err := r.Discard(3); err != nil {
			return err
		}
	}
	dec := json.NewDecoder(r)
	if _, err := dec.Token(); err != nil {
		return err
	}
	var line bytes.Buffer
	for dec.More() {
		var element json.RawMessage
		if err := dec.Decode(&element); err != nil {
			return fmt.Errorf("after %d bytes: %w", dec.InputOffset(), err)
		}
		line.Reset()
		if err := json.Compact(&line, element); err != nil {
			return err
		}
		line.WriteByte('\n')
		if _, err := w.Write(line.Bytes()); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("after %d bytes: %w", dec.InputOffset(), err)
	}
	return nil
}
