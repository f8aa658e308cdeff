package split

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// Input is one file that was read.
type Input struct {
	Path    string         `json:"path"`
	Bytes   int64          `json:"bytes"`
	SHA256  string         `json:"sha256"`
	Records int            `json:"records"`
	Kinds   map[string]int `json:"kinds"`
	Packed  string         `json:"packed,omitempty"` // what it was unpacked from: gzip, zstd or a JSON array

	file *os.File // JSON lines
	size int64    // bytes of file
	torn error    // why only the first part of a packed input could be read
}

// Skip is an input that was not read, and why.
type Skip struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// expand resolves patterns that no shell expanded.
func expand(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		_, err := os.Stat(arg)
		if !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(arg, "*?[") {
			out = append(out, arg)
			continue
		}
		matches, err := filepath.Glob(arg)
		if err != nil {
			return nil, &prep.InputError{Text: fmt.Sprintf("pattern %s: %v", arg, err)}
		}
		if len(matches) == 0 {
			return nil, fmt.Errorf("no file matches %s: %w", arg, fs.ErrNotExist)
		}
		out = append(out, matches...)
	}
	return out, nil
}

// choose divides the paths into inputs to read and inputs to skip: earlier
// outputs of this command, and files given twice.
func choose(paths []string, outputs []string, known manifests) ([]*Input, []Skip, error) {
	var inputs []*Input
	var infos []os.FileInfo
	var skips []Skip
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, fmt.Errorf("open data file: %w", err)
		}
		if err := regular("data file", path, info); err != nil {
			return nil, nil, err
		}
		reason, err := ownOutput(path, info, outputs, known)
		if err != nil {
			return nil, nil, err
		}
		if reason == "" && givenBefore(info, infos) {
			reason = "given twice"
		}
		if reason != "" {
			skips = append(skips, Skip{Path: path, Reason: reason})
			continue
		}
		inputs = append(inputs, &Input{Path: path, Bytes: info.Size(), Kinds: map[string]int{}})
		infos = append(infos, info)
	}
	return inputs, skips, nil
}

// regular refuses what cannot be read several times.
func regular(what, path string, info os.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode&fs.ModeNamedPipe != 0:
		return &prep.InputError{Text: fmt.Sprintf("%s %s is a pipe, and is read several times: write it to a file first", what, path)}
	default:
		return &prep.InputError{Text: fmt.Sprintf("%s %s is not a regular file", what, path)}
	}
}

// ownOutput says why path is an output of this command, or "".
func ownOutput(path string, info os.FileInfo, outputs []string, known manifests) (string, error) {
	manifest, err := known.wrote(path, info.Size())
	if err != nil {
		return "", err
	}
	if manifest != "" {
		return "written by an earlier split (" + manifest + ")", nil
	}
	for _, out := range outputs {
		if o, err := os.Stat(out); err == nil && os.SameFile(info, o) {
			return "it is where this split writes", nil
		}
	}
	return "", nil
}

func givenBefore(info os.FileInfo, infos []os.FileInfo) bool {
	for _, other := range infos {
		if os.SameFile(info, other) {
			return true
		}
	}
	return false
}

// hashFile is the SHA-256 of a file, in hexadecimal.
func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
