package split

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// pack compresses text, or makes an array of its lines.
func pack(t *testing.T, how, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	switch how {
	case packedGzip:
		w := gzip.NewWriter(&b)
		w.Write([]byte(text)) // to memory
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case packedZstd:
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text)) // to memory
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case packedArray:
		b.WriteString("\ufeff [ \n" + strings.ReplaceAll(strings.TrimSpace(text), "\n", ",\n") + "]\n")
	}
	return b.Bytes()
}

// Compressed files and arrays give the outputs of the plain lines.
func TestPackedInputs(t *testing.T) {
	dir := t.TempDir()
	plain, err := os.ReadFile(data(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "in.jsonl")
	var want map[string]string
	for _, how := range []string{"", packedGzip, packedZstd, packedArray} {
		text := plain
		if how != "" {
			text = pack(t, how, string(plain))
		}
		if err := os.WriteFile(in, text, 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Inputs: []string{in}, Name: "x", OutDir: filepath.Join(dir, "out"+how), EvalFrac: 0.3, Near: 0.7}
		m, err := Split(context.Background(), o)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		sum, err := hashFile(in)
		if err != nil || m.Inputs[0].Packed != how || m.Inputs[0].SHA256 != sum || m.Inputs[0].Bytes != int64(len(text)) {
			t.Errorf("%s: input %+v, hash %s, %v", how, m.Inputs[0], sum, err)
		}
		got := snapshot(t, o.OutDir)
		if want == nil {
			want = got
		}
		if len(got) != 3 || got[TrainFile] != want[TrainFile] || got[EvalFile] != want[EvalFile] {
			t.Errorf("%s: other outputs than of the plain lines", how)
		}
	}
}

// Of a torn file what can be read is used, and the tear is reported.
func TestTornInputs(t *testing.T) {
	dir := t.TempDir()
	plain, err := os.ReadFile(data(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "in.jsonl")
	for _, how := range []string{packedGzip, packedZstd, packedArray} {
		text := pack(t, how, strings.Repeat(string(plain), 200))
		if err := os.WriteFile(in, text[:len(text)-20], 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Inputs: []string{in}, Name: "x", OutDir: filepath.Join(dir, "out"), EvalFrac: 0.3}
		m, err := Split(context.Background(), o)
		if how == packedZstd && errors.Is(err, ErrNothing) { // one block, and that is torn
			err = nil
		} else if err == nil && m.Inputs[0].Records == 0 {
			t.Errorf("%s: nothing was used", how)
		}
		if err != nil || m.Dropped[reasonTorn] != 1 || m.Skipped < 1 {
			t.Errorf("%s: %v, left out %v", how, err, m.Dropped)
		}
		o.Strict = true
		if _, err := Split(context.Background(), o); !errors.Is(err, ErrStrict) {
			t.Errorf("%s, strict: %v", how, err)
		}
	}
}

func TestPacking(t *testing.T) {
	for head, want := range map[string]string{
		"[\n{\"text\":1},\n": packedArray, `[{"text":"a"},{"text"`: packedArray, "[{\"text\":\"a\"}]\n": packedArray,
		"[\"text\"]\n{\"text\":\"a\"}\n": "", `{"text":"a"}`: "", "": "",
	} {
		if got := packing([]byte(head)); got != want {
			t.Errorf("%q is packed as %q, want %q", head, got, want)
		}
	}
}
