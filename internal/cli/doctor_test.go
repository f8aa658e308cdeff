package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeText(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadMemory(t *testing.T) {
	dir := t.TempDir()
	meminfo := writeText(t, filepath.Join(dir, "meminfo"), "MemTotal:       4000 kB\nMemFree:  100 kB\nMemAvailable:   3000 kB\n")
	cases := []struct {
		limit            string
		total, available uint64
	}{
		{"max\n", 4000 << 10, 3000 << 10},
		{"2048000\n", 2048000, 2048000},
		{"99999999999\n", 4000 << 10, 3000 << 10},
	}
	for _, c := range cases {
		limit := writeText(t, filepath.Join(dir, "limit"), c.limit)
		total, available, err := readMemory(memoryPaths{meminfo, limit})
		if err != nil || total != c.total || available != c.available {
			t.Errorf("limit %q: %d, %d, %v", c.limit, total, available, err)
		}
	}
	if _, _, err := readMemory(memoryPaths{filepath.Join(dir, "limit"), ""}); err == nil {
		t.Error("a file without MemTotal must be an error")
	}
	if c := checkMemory(memoryPaths{filepath.Join(dir, "none"), ""}); c.State != checkMissing {
		t.Errorf("got %+v", c)
	}
}

func TestCheckFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if c := checkFolder("runs"); c.State != checkOK || !strings.HasPrefix(c.Detail, "not there yet; writable") {
		t.Errorf("a folder to be made: %+v", c)
	}
	writeText(t, "data", "a file in the way")
	if c := checkFolder("data"); c.State != checkFailed || c.Advice == "" {
		t.Errorf("a file in the way: %+v", c)
	}
	left, err := filepath.Glob(".qlora-doctor-*")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCheckTool(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if c := checkTool(optionalTools[0]); c.State != checkMissing || !strings.Contains(c.Detail, "make tmux-train") || c.Advice == "" {
		t.Errorf("got %+v", c)
	}
}
