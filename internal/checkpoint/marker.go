package checkpoint

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// markerName is the file that makes a checkpoint complete. It holds one line
// per other file: CRC-32C in hexadecimal, size in bytes, name.
const markerName = "DONE"

var (
	// ErrIncomplete marks a checkpoint whose marker was never written.
	ErrIncomplete = errors.New("incomplete checkpoint")
	// ErrCorrupt marks a checkpoint whose files are not those that were saved.
	ErrCorrupt = errors.New("corrupt checkpoint")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal is the marker's line for the file at path.
func seal(path string) (string, error) {
	sum, size, err := digest(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%08x %d %s\n", sum, size, filepath.Base(path)), nil
}

func digest(path string) (uint32, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	h := crc32.New(castagnoli)
	size, err := io.Copy(h, f)
	return h.Sum32(), size, err
}

// verify holds every file of the checkpoint at dir to its marker.
func verify(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("checkpoint %s: %w", dir, fs.ErrNotExist)
	}
	marker, err := os.ReadFile(filepath.Join(dir, markerName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: it has no %s marker", dir, ErrIncomplete, markerName)
	}
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(marker), "\n"), "\n")
	listed := map[string]bool{}
	for _, line := range lines {
		_, name, ok := cutLast(line)
		if !ok || name != filepath.Base(name) {
			return fmt.Errorf("%s: %w: the marker says %q", dir, ErrCorrupt, line)
		}
		got, err := seal(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if got != line+"\n" {
			return fmt.Errorf("%s: %w: the marker says %q, the file gives %q", dir, ErrCorrupt, line, got[:len(got)-1])
		}
		listed[name] = true
	}
	for _, name := range []string{paramsName, momentsName, stateName} {
		if !listed[name] {
			return fmt.Errorf("%s: %w: the marker does not list %s", dir, ErrCorrupt, name)
		}
	}
	return nil
}

// cutLast splits "crc size name" before the name.
func cutLast(line string) (before, name string, ok bool) {
	parts := strings.SplitN(line, " ", 3)
	if len(parts) != 3 {
		return "", "", false
	}
	return parts[0] + " " + parts[1], parts[2], true
}
