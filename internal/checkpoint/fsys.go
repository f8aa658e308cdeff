package checkpoint

import (
	"io"
	"os"
)

// fsys holds the operations that change the disk, so that tests can fail each
// of them in turn.
type fsys interface {
	Mkdir(path string) error
	Create(path string) (file, error)
	Rename(from, to string) error
	Remove(path string) error
	RemoveAll(path string) error
	// Sync makes the content of a file or the entries of a directory durable.
	Sync(path string) error
}

type file interface {
	io.WriteCloser
	Sync() error
}

// disk is the operating system's file system.
type disk struct{}

func (disk) Mkdir(path string) error { return os.MkdirAll(path, 0o777) }

func (disk) Create(path string) (file, error) { return os.Create(path) }

func (disk) Rename(from, to string) error { return os.Rename(from, to) }

func (disk) Remove(path string) error { return os.Remove(path) }

func (disk) RemoveAll(path string) error { return os.RemoveAll(path) }

func (disk) Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
