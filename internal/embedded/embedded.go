// Package embedded holds a small language model inside the binary, so that every
// command has something real to work on without a download: a llama-architecture
// GGUF with its own vocabulary, fill-in-the-middle and chat tokens, pre-trained
// by this program on the Go standard library. `make embedded-model` repeats the
// training from the files under recipe; weights/README.md tells what the model
// is, what it was measured at, and what it is not.
package embedded

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed all:weights
var weights embed.FS

// modelFile is where the recipe leaves the model.
const modelFile = "weights/model.gguf"

// ErrMissing is returned by a binary that was built before the model was made.
var ErrMissing = errors.New("this binary was built without the embedded model; run 'make embedded-model' and build again")

// Model returns the bytes of the GGUF file, a copy that the caller may change.
func Model() ([]byte, error) {
	b, err := weights.ReadFile(modelFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	}
	return b, err
}

// Extract writes the model to path, for readers that want a file. The file
// appears only whole; one that is there already is replaced.
func Extract(path string) (err error) {
	model, err := Model()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("extract the embedded model: %w", err)
	}
	_, err = f.Write(model)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("extract the embedded model to %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
