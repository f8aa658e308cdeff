package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/qlora/qlora/internal/ui"
)

// writeWhole replaces the file at path in one step: after a crash it holds the
// old text or the new.
func writeWhole(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// makeFolder makes the folder that out is to be in, as export and prep do.
func makeFolder(out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		return ui.Fail(ui.ExitFailure, fmt.Errorf("make the folder of %s: %w", out, err), "name a file in another folder with -o")
	}
	return nil
}

// writeSummary writes v as indented JSON.
func writeSummary(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return writeWhole(path, append(text, '\n'))
}
