package dataset

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/qlora/qlora/internal/ui"
)

// packer writes what is packed to a buffer.
func packer(t *testing.T, how string, b *bytes.Buffer) io.WriteCloser {
	t.Helper()
	if how == packedGzip {
		return gzip.NewWriter(b)
	}
	w, err := zstd.NewWriter(b)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func packed(t *testing.T, how, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := packer(t, how, &b)
	_, err := io.WriteString(w, text)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// put writes a file of the test.
func put(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(ctx context.Context, path string, progress func(int64)) (string, error) {
	r, err := Open(ctx, path, progress)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), errors.Join(err, r.Close())
}

// TestOpen: a file is what it holds, whatever its name, and its progress is of
// the bytes on the disk.
func TestOpen(t *testing.T) {
	text := strings.Repeat("{\"text\":\"some words\"}\n", 20000)
	gz := packed(t, packedGzip, text)
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"plain": {[]byte(text), text}, "empty": {nil, ""}, "one byte": {[]byte("{"), "{"},
		"gzip": {gz, text}, "zstd": {packed(t, packedZstd, text), text}, "two gzip": {append(bytes.Clone(gz), gz...), text + text},
	} {
		var read int64
		got, err := readAll(context.Background(), put(t, "x.jsonl", c.content), func(n int64) { read += n })
		if err != nil || got != c.want || read != int64(len(c.content)) {
			t.Errorf("%s: %d bytes, want %d; progress %d of %d; %v", name, len(got), len(c.want), read, len(c.content), err)
		}
	}
}

func TestOpenDamaged(t *testing.T) {
	for _, how := range []string{packedGzip, packedZstd} {
		whole := packed(t, how, strings.Repeat("{\"text\":\"some words\"}\n", 20000))
		bent := bytes.Clone(whole)
		bent[len(bent)/2] ^= 0xff
		for name, content := range map[string][]byte{"cut": whole[:len(whole)/2], "head": whole[:5], "bent": bent, "more": append(bytes.Clone(whole), "more"...)} {
			path := put(t, "x.gz", content)
			var damaged *DamagedError
			if _, err := readAll(context.Background(), path, nil); !errors.As(err, &damaged) || damaged.How != how {
				t.Errorf("%s, %s: %v", how, name, err)
			}
			_, _, err := load(t, LoadOptions{Sources: []Source{{Path: path, Weight: 1}}, SkipInvalid: true})
			var coded *ui.CodedError
			if !errors.As(err, &coded) || coded.Code != ui.ExitInvalid || !strings.Contains(strings.Join(coded.Hints, ""), "again") {
				t.Errorf("%s, %s: loaded with %v", how, name, err)
			}
		}
	}
}

// TestOpenEnds: a read that fails because it is no longer wanted, or because of
// the disk, is no damage.
func TestOpenEnds(t *testing.T) {
	path := put(t, "x.gz", packed(t, packedGzip, strings.Repeat("x", 1<<20)))
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Open(ctx, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := readAll(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	broken := io.MultiReader(bytes.NewReader(packed(t, packedGzip, "x")[:12]), failing{})
	z, err := Unpack(context.Background(), broken, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(z); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("broken: %v", err)
	}
}

// failing is a disk that does not answer.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// TestLoadPacked: training reads what it reads plain.
func TestLoadPacked(t *testing.T) {
	text := "\ufeff{\"text\":\"one\"}\n\n{\"text\":\"two words\"}\n"
	plain := Source{Path: put(t, "d.jsonl", []byte(text)), Weight: 1}
	want, _, err := load(t, LoadOptions{Sources: []Source{plain}})
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{packedGzip, packedZstd} {
		path := put(t, "d.jsonl."+how, packed(t, how, text))
		got, _, err := load(t, LoadOptions{Sources: []Source{{Path: path, Weight: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.Samples {
			got.Samples[i].File = plain.Path
		}
		if !reflect.DeepEqual(got.Samples, want.Samples) {
			t.Errorf("%s: %+v, want %+v", how, got.Samples, want.Samples)
		}
	}
}

// TestOpenPipe: a pipe is read as a file is, once.
func TestOpenPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("{\"text\":\"some words\"}\n", 20000)
	go os.WriteFile(path, packed(t, packedGzip, text), 0o600) // what fails is seen below
	if got, err := readAll(context.Background(), path, nil); err != nil || got != text {
		t.Errorf("%d bytes, want %d; %v", len(got), len(text), err)
	}
	if !IsPipe(path) || IsPipe(filepath.Dir(path)) || Size([]string{path}) != -1 {
		t.Error("a pipe is not told from a file")
	}
}
