package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// SumError says that a file is not the one that the hub has.
type SumError struct{ Path, Kind, Got, Want string }

func (e *SumError) Error() string {
	return fmt.Sprintf("%s has %s %s, the hub says %s", e.Path, e.Kind, e.Got, e.Want)
}

// Verify reads the file at path and returns a *SumError when its size or hash
// is not that of m. Where the hub gives no hash only the size is compared.
func Verify(ctx context.Context, path string, m Meta, progress func(n int64)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != m.Size {
		return &SumError{Path: path, Kind: "size", Got: fmt.Sprint(info.Size()), Want: fmt.Sprint(m.Size)}
	}
	kind, want, sum := m.sum()
	if sum == nil {
		return nil
	}
	if err := readAll(ctx, f, sum, progress); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return &SumError{Path: path, Kind: kind, Got: got, Want: want}
	}
	return nil
}

// Checked names the hash by which Verify knows the file, or says "size".
func (m Meta) Checked() string {
	kind, _, _ := m.sum()
	return kind
}

// sum is the hash to hold the content to. Git hashes a header with it.
func (m Meta) sum() (kind, want string, sum hash.Hash) {
	switch {
	case m.SHA256 != "":
		return "sha256", m.SHA256, sha256.New()
	case m.GitOID != "":
		sum = sha1.New()
		fmt.Fprintf(sum, "blob %d\x00", m.Size)
		return "git object", m.GitOID, sum
	}
	return "size", "", nil
}

func readAll(ctx context.Context, r io.Reader, sum hash.Hash, progress func(n int64)) error {
	buf := make([]byte, 1<<20)
	for {
		n, err := r.Read(buf)
		sum.Write(buf[:n])
		if progress != nil {
			progress(int64(n))
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}
