package gguf

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOpenWaitsForNoPipe: opening one for reading would wait for a writer.
func TestOpenWaitsForNoPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.gguf")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("%v", err)
	}
}
