package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

// maxBytes is what the model may add to the binary.
const maxBytes = 8_000_000

// model is the path of the model under test.
func model(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := Extract(path); errors.Is(err, ErrMissing) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestModelIsSmallAndComplete(t *testing.T) {
	path := model(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxBytes {
		t.Errorf("%d bytes, at most %d are allowed", info.Size(), maxBytes)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, tensor := range f.Tensors() {
		if len(tensor.Dims) == 2 && (tensor.Type != gguf.Q8_0 || tensor.Dims[0]%256 != 0) {
			t.Errorf("%s is %s with rows of %d: matrices are to be Q8_0 with rows in multiples of 256", tensor.Name, tensor.Type, tensor.Dims[0])
		}
	}
	for _, key := range []string{"tokenizer.chat_template", "general.license", "general.name"} {
		if text, ok := f.String(key); !ok || text == "" {
			t.Errorf("no %s", key)
		}
	}
	for _, key := range []string{"fim_pre", "fim_suf", "fim_mid", "eot", "eos"} {
		if _, ok := f.Uint("tokenizer.ggml." + key + "_token_id"); !ok {
			t.Errorf("no token for %s", key)
		}
	}
}

func TestExtractWritesTheModel(t *testing.T) {
	path := model(t)
	want, err := Model()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the extracted file differs from the embedded bytes: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files beside the model, %v", len(entries), err)
	}
	if err := Extract(filepath.Join(t.TempDir(), "no", "such", "folder")); err == nil {
		t.Error("a missing folder was accepted")
	}
}
