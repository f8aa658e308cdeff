package handover

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Folder is a folder in the making. It stands beside its place under another
// name until Commit, so that a failure or Ctrl-C leaves no half of it.
type Folder struct {
	path, tmp string
	done      bool
}

// ErrOccupied says that a folder to be written exists and holds something.
var ErrOccupied = errors.New("exists and is not empty")

// NewFolder starts a folder that will stand at path, where nothing or an empty
// folder may be. The caller ends with Commit or Abort; deferring Abort is
// right.
func NewFolder(path string) (*Folder, error) {
	path = filepath.Clean(path)
	if err := free(path); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &Folder{path: path, tmp: tmp}, os.Chmod(tmp, 0o755)
}

// free tells whether a folder can be put at path without replacing anything.
func free(path string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return ErrOccupied
	}
	return nil
}

// Path is where a file of the folder is written before Commit.
func (f *Folder) Path(name string) string { return filepath.Join(f.tmp, name) }

// Write puts text into the file name.
func (f *Folder) Write(name string, text []byte) error {
	file, err := os.OpenFile(f.Path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Copy puts a copy of the file at from into the folder. progress, which may be
// nil, is told the bytes just written; its error ends the copy.
func (f *Folder) Copy(from, name string, progress func(int) error) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	defer in.Close()
	out, err := os.OpenFile(f.Path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	err = copyChunks(out, in, progress)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

// copyChunk is what is copied between two calls of progress.
const copyChunk = 4 << 20

func copyChunks(out io.Writer, in io.Reader, progress func(int) error) error {
	for {
		n, err := io.CopyN(out, in, copyChunk)
		if progress != nil {
			err = errors.Join(err, progress(int(n)))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Link makes the file at from appear in the folder without copying it: as a
// hard link, or across file systems as a symbolic one to its absolute path.
func (f *Folder) Link(from, name string) error {
	target, err := filepath.EvalSymlinks(from)
	if err == nil {
		target, err = filepath.Abs(target)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", from, err)
	}
	if os.Link(target, f.Path(name)) == nil {
		return nil
	}
	if err := os.Symlink(target, f.Path(name)); err != nil {
		return fmt.Errorf("link %s: %w", from, err)
	}
	return nil
}

// Commit puts the folder in its place.
func (f *Folder) Commit() error {
	if err := free(f.path); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) { // an empty folder
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := os.Rename(f.tmp, f.path); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.done = true
	return nil
}

// Abort removes what was written. After Commit it does nothing.
func (f *Folder) Abort() error {
	if f.done {
		return nil
	}
	return os.RemoveAll(f.tmp)
}
