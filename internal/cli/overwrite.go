package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/ui"
)

// refuseOverwrite refuses an output, which flag names, that is a folder or one
// of the inputs. It compares files, not names: a link to an input is one too. Inputs
// that are no files are passed over.
func refuseOverwrite(flag, out string, inputs ...string) error {
	written, err := os.Stat(out)
	switch {
	case err != nil:
		return nil // nothing is lost there
	case written.IsDir():
		return ui.Fail(ui.ExitUsage, fmt.Errorf("%s %s is a folder", flag, out), "name a file in it with "+flag)
	case !written.Mode().IsRegular():
		return nil
	}
	for _, path := range inputs {
		if in, err := os.Stat(path); err == nil && os.SameFile(in, written) {
			return ui.Fail(ui.ExitUsage, fmt.Errorf("%s %s is the same file as the input %s", flag, out, path), "write to a new file with "+flag)
		}
	}
	return nil
}

// refuseSource refuses an output that is there already inside a folder that is
// read whole, unless its name ends in ext: sources do not, and it is what an
// earlier call wrote. Ext is "" where sources end like outputs.
func refuseSource(flag, out, ext string, folders ...string) error {
	written, err := os.Stat(out)
	if err != nil || !written.Mode().IsRegular() || ext != "" && strings.HasSuffix(out, ext) {
		return nil
	}
	for _, folder := range folders {
		if isFolder(folder) && liesIn(out, folder) {
			return ui.Fail(ui.ExitUsage, fmt.Errorf("%s %s is a file of the folder %s, which is read", flag, out, folder), "write to a new file with "+flag)
		}
	}
	return nil
}

// liesIn tells whether a file is in dir, by its own name or through a link.
func liesIn(path, dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil || !exists(path) {
		return false
	}
	parent, errParent := filepath.EvalSymlinks(filepath.Dir(path))
	file, errFile := filepath.EvalSymlinks(path)
	return errParent == nil && within(parent, dir) || errFile == nil && within(file, dir)
}

// within tells whether path is dir or below it.
func within(path, dir string) bool {
	path, errPath := filepath.Abs(path)
	dir, errDir := filepath.Abs(dir)
	inside, err := filepath.Rel(dir, path)
	return errors.Join(errPath, errDir, err) == nil && inside != ".." && !strings.HasPrefix(inside, "../")
}

// modelFiles are all files of a model, or path alone when it cannot be read.
func modelFiles(path string) []string {
	f, err := gguf.Open(path)
	if err != nil {
		return []string{path}
	}
	defer f.Close()
	return f.Paths()
}

// sameOutput says whether two files, which need not be there yet, would be one.
func sameOutput(a, b string) bool {
	dirA, errA := os.Stat(filepath.Dir(a))
	dirB, errB := os.Stat(filepath.Dir(b))
	return filepath.Base(a) == filepath.Base(b) && errA == nil && errB == nil && os.SameFile(dirA, dirB)
}
