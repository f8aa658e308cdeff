package checkpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var errCrash = errors.New("crashed")

// crashing is a disk that dies at one operation: a write gets half of its
// bytes down, everything later fails.
type crashing struct {
	disk
	left *int // operations before the crash
}

func (c crashing) die() error {
	if *c.left--; *c.left < 0 {
		return errCrash
	}
	return nil
}

func (c crashing) Mkdir(path string) error {
	if err := c.die(); err != nil {
		return err
	}
	return c.disk.Mkdir(path)
}

func (c crashing) Create(path string) (file, error) {
	if err := c.die(); err != nil {
		return nil, err
	}
	f, err := c.disk.Create(path)
	return crashingFile{f, c}, err
}

func (c crashing) Rename(from, to string) error {
	if err := c.die(); err != nil {
		return err
	}
	return c.disk.Rename(from, to)
}

func (c crashing) Remove(path string) error {
	if err := c.die(); err != nil {
		return err
	}
	return c.disk.Remove(path)
}

// RemoveAll dies with a part of the directory gone.
func (c crashing) RemoveAll(path string) error {
	if err := c.die(); err != nil {
		if entries, _ := os.ReadDir(path); len(entries) > 0 {
			os.Remove(filepath.Join(path, entries[0].Name()))
		}
		return err
	}
	return c.disk.RemoveAll(path)
}

func (c crashing) Sync(path string) error {
	if err := c.die(); err != nil {
		return err
	}
	return c.disk.Sync(path)
}

type crashingFile struct {
	file
	c crashing
}

func (f crashingFile) Write(p []byte) (int, error) {
	if err := f.c.die(); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f crashingFile) Close() error {
	err := f.c.die()
	return errors.Join(err, f.file.Close())
}

// A crash at every operation of the third save and of the pruning after it
// leaves a loadable checkpoint, and the next save works.
func TestCrashAtEveryOperation(t *testing.T) {
	crashes := 0
	for left := 0; ; left++ {
		s, _ := testStore(t)
		save(t, s, 10)
		save(t, s, 20)
		budget := left
		s.fs = crashing{left: &budget}
		p, state := sample(30)
		_, saveErr := s.Save(p, state)
		pruneErr := error(nil)
		if saveErr == nil {
			pruneErr = s.Prune(1)
		}
		s.fs = disk{}

		c, err := s.Open("last")
		if err != nil {
			t.Fatalf("crash at operation %d: %v", left, err)
		}
		// A crash between the marker and its last sync may leave the new one.
		if step := c.Progress.Step; step != 30 && (saveErr == nil || step != 20) {
			t.Errorf("crash at operation %d: save error %v, last is step %d", left, saveErr, step)
		}
		if err := checkSample(c, c.Progress.Step); err != nil {
			t.Errorf("crash at operation %d: %v", left, err)
		}
		save(t, s, 40)
		if err := s.Prune(1); err != nil {
			t.Errorf("after a crash at operation %d: %v", left, err)
		}
		if c, err = s.Open("last"); err != nil || c.Progress.Step != 40 {
			t.Errorf("after a crash at operation %d the next save is lost: %v", left, err)
		}
		if saveErr == nil && pruneErr == nil {
			break
		}
		crashes++
	}
	if crashes < 20 {
		t.Errorf("only %d operations were failed", crashes)
	}
}

// Replacing a checkpoint of the same step leaves the older one loadable.
func TestCrashWhileReplacing(t *testing.T) {
	for left := 0; ; left++ {
		s, _ := testStore(t)
		save(t, s, 10)
		save(t, s, 20)
		budget := left
		s.fs = crashing{left: &budget}
		p, state := sample(20)
		_, saveErr := s.Save(p, state)
		s.fs = disk{}
		c, err := s.Open("last")
		if err != nil {
			t.Fatalf("crash at operation %d: %v", left, err)
		}
		if err := checkSample(c, c.Progress.Step); err != nil {
			t.Errorf("crash at operation %d: %v", left, err)
		}
		if saveErr == nil {
			break
		}
	}
}

const childEnv = "QLORA_TEST_CHECKPOINT_CHILD"

// TestSurvivesSIGKILL kills a process that saves without pause, at ten
// moments, and loads what it left.
func TestSurvivesSIGKILL(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		saveForever(t, dir)
	}
	for trial := range 10 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestSurvivesSIGKILL$")
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitForNew(t, dir)
		time.Sleep(time.Duration(trial) * 3 * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		s := NewStore(dir, func(string) {})
		c, err := s.Open("last")
		if err != nil {
			t.Fatalf("trial %d: %v", trial, err)
		}
		if err := checkSample(c, c.Progress.Step); err != nil {
			t.Fatalf("trial %d: %v", trial, err)
		}
	}
}

func saveForever(t *testing.T, dir string) {
	s := NewStore(dir, func(string) {})
	for step := 0; ; step++ {
		p, state := sample(step)
		if _, err := s.Save(p, state); err != nil {
			t.Fatal(err)
		}
		if step > 5 {
			if err := s.Prune(4); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// waitForNew polls until the child that was just started has saved something.
func waitForNew(t *testing.T, dir string) {
	t.Helper()
	for range 10_000 {
		if found, _ := filepath.Glob(filepath.Join(dir, prefix+"*", markerName)); len(found) > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("no checkpoint appeared in %s", dir)
}
