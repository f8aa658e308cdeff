package train

import (
	"os"
	"testing"
)

// TestMain keeps temporary folders in memory where it can: these tests save
// thousands of checkpoints, each synced several times.
func TestMain(m *testing.M) {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() && os.Getenv("TMPDIR") == "" {
		os.Setenv("TMPDIR", "/dev/shm")
	}
	m.Run()
}
