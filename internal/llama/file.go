package llama

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// checkFile tells in plain words what is wrong with a file that libllama would
// refuse with less: missing, unreadable, too short, or not GGUF.
func checkFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &FileError{Path: path, Reason: "no such file", Err: err}
	}
	if err != nil {
		return &FileError{Path: path, Reason: err.Error(), Err: err}
	}
	if !info.Mode().IsRegular() {
		return &FileError{Path: path, Reason: "not a regular file"}
	}
	return checkHeader(path)
}

// checkHeader reads the fixed GGUF header: magic, version, two counts.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return &FileError{Path: path, Reason: "cannot be opened: " + err.Error(), Err: err}
	}
	defer f.Close()
	var header [24]byte
	n, err := io.ReadFull(f, header[:])
	if n >= 4 && string(header[:4]) != "GGUF" {
		return &FileError{Path: path, Reason: "not a GGUF file (its first four bytes are not GGUF)"}
	}
	if err != nil {
		return &FileError{Path: path, Reason: "truncated: shorter than a GGUF header", Err: err}
	}
	if v := binary.LittleEndian.Uint32(header[4:]); v < 2 || v > 3 {
		return &FileError{Path: path, Reason: "unsupported GGUF version (want 2 or 3, little-endian)"}
	}
	return nil
}
