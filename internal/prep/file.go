package prep

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
)

// File is an output that appears under its name only when it is complete. It
// is written to a temporary file in the same folder; Commit makes it durable
// and renames it, Abort removes it.
type File struct {
	path string
	tmp  *os.File
	buf  *bufio.Writer
	sum  hash.Hash
	size int64
	done bool
}

// Create starts the output path, whose folder is made when it is missing. An
// existing file stays as it is until Commit.
func Create(path string) (*File, error) {
	target, err := resolve(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", path, err)
	}
	tmp, err := createTemp(target)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return &File{path: target, tmp: tmp, buf: bufio.NewWriterSize(tmp, 256<<10), sum: sha256.New()}, nil
}

// resolve follows a symbolic link, so that the link survives the rename, and
// refuses what is not a regular file.
func resolve(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("look at output %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("output %s exists and is not a regular file", path)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("resolve output %s: %w", path, err)
	}
	return target, nil
}

// createTemp is os.CreateTemp with the permissions of an ordinary new file.
func createTemp(target string) (*os.File, error) {
	const attempts = 100
	var err error
	for i := range attempts {
		name := fmt.Sprintf("%s.tmp-%d-%d", target, os.Getpid(), i)
		var f *os.File
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	return nil, err
}

// Write adds p to the output.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.buf.Write(p)
	f.sum.Write(p[:n])
	f.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", f.path, err)
	}
	return n, nil
}

// WriteJSON adds v as one line of JSON; <, > and & stay as they are.
func (f *File) WriteJSON(v any) error {
	enc := json.NewEncoder(f)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("add a record to %s: %w", f.path, err)
	}
	return nil
}

// Size is the number of bytes written so far.
func (f *File) Size() int64 { return f.size }

// SHA256 is the hash of what was written so far, in hexadecimal.
func (f *File) SHA256() string { return hex.EncodeToString(f.sum.Sum(nil)) }

// Commit flushes the output to the disk and gives it its name.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("commit %s: already closed", f.path)
	}
	if err := f.settle(); err != nil {
		return errors.Join(fmt.Errorf("finish %s: %w", f.path, err), f.Abort())
	}
	f.done = true
	if err := os.Rename(f.tmp.Name(), f.path); err != nil {
		return errors.Join(fmt.Errorf("name %s: %w", f.path, err), os.Remove(f.tmp.Name()))
	}
	return syncFolder(filepath.Dir(f.path))
}

func (f *File) settle() error {
	if err := f.buf.Flush(); err != nil {
		return err
	}
	if err := f.tmp.Sync(); err != nil {
		return err
	}
	return f.tmp.Close()
}

// syncFolder makes a rename durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open folder %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// Abort removes the temporary file; after Commit it does nothing, so it can be
// deferred.
func (f *File) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	f.tmp.Close() // the file is thrown away: only its removal can matter
	if err := os.Remove(f.tmp.Name()); err != nil {
		return fmt.Errorf("remove unfinished output: %w", err)
	}
	return nil
}
