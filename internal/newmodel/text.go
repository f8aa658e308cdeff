package newmodel

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/qlora/qlora/internal/bpe"
)

// Source counts the text that a vocabulary is trained on.
type Source struct {
	Files   int
	Skipped int // not text: no valid UTF-8, or a NUL byte
}

// AddText reads a file, or every regular file below a folder, into a vocabulary
// trainer. Below a folder, hidden entries and files that are no UTF-8 text are
// passed over and counted; a file named directly must be text.
func AddText(t *bpe.Trainer, path string, count *Source) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read text for the vocabulary: %w", err)
	}
	if !info.IsDir() {
		ok, err := addFile(t, path, count)
		if err == nil && !ok {
			err = fmt.Errorf("read text for the vocabulary: %s is not UTF-8 text", path)
		}
		return err
	}
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read text for the vocabulary: %w", err)
		case name != path && d.Name()[0] == '.' && d.IsDir():
			return fs.SkipDir
		case d.Name()[0] == '.' || !d.Type().IsRegular():
			return nil
		}
		_, err = addFile(t, name, count)
		return err
	})
}

// addFile adds one file; false when it is no text.
func addFile(t *bpe.Trainer, path string, count *Source) (bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("read text for the vocabulary: %w", err)
	}
	if !isText(text) {
		count.Skipped++
		return false, nil
	}
	count.Files++
	t.Add(string(text))
	return true, nil
}

func isText(text []byte) bool {
	for _, c := range text {
		if c == 0 {
			return false
		}
	}
	return utf8.Valid(text)
}
