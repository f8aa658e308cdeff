package handover_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/handover"
)

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestFolderAppearsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from.bin")
	if err := os.WriteFile(from, make([]byte, 9<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	stop := errors.New("stop")
	f, err := handover.NewFolder(out)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	err = f.Copy(from, "copy.bin", func(int) error {
		if calls++; calls == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Errorf("an interrupted copy: %v", err)
	}
	if err := f.Abort(); err != nil || len(names(t, dir)) != 1 {
		t.Errorf("after Abort: %v, %v", names(t, dir), err)
	}
	if f, err = handover.NewFolder(out); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{f.Copy(from, "copy.bin", nil), f.Link(from, "link.bin"), f.Write("text", []byte("x")), f.Commit(), f.Abort()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, out); len(got) != 3 || len(names(t, dir)) != 2 {
		t.Errorf("the folder holds %v, beside %v", got, names(t, dir))
	}
	a, _ := os.Stat(from)
	copied, _ := os.Stat(filepath.Join(out, "copy.bin"))
	linked, err := os.Stat(filepath.Join(out, "link.bin"))
	if err != nil || !os.SameFile(a, linked) || os.SameFile(a, copied) || copied.Size() != a.Size() {
		t.Errorf("copy of %d bytes, link the same file: %v, %v", copied.Size(), os.SameFile(a, linked), err)
	}
}

func TestFolderOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := handover.NewFolder(dir); !errors.Is(err, handover.ErrOccupied) {
		t.Errorf("a folder with a file in it: %v", err)
	}
	if _, err := handover.NewFolder(filepath.Join(dir, "mine")); err == nil {
		t.Error("a file in the folder's place was taken")
	}
	later := filepath.Join(dir, "later")
	f, err := handover.NewFolder(later)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	if err := os.MkdirAll(filepath.Join(later, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); !errors.Is(err, handover.ErrOccupied) {
		t.Errorf("something came in between: %v", err)
	}
}

func TestFolderTakesAnEmptyOnesPlace(t *testing.T) {
	dir := t.TempDir()
	f, err := handover.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Write("a", nil), f.Commit()); err != nil || len(names(t, dir)) != 1 {
		t.Errorf("%v, %v", names(t, dir), err)
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v", info.Mode())
	}
}
