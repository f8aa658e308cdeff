package runlog

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestListOfAnyFolder has a name that would be a pattern, and entries that are
// no runs.
func TestListOfAnyFolder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "ru[1]ns*")
	if all, err := List(root); err != nil || len(all) > 0 {
		t.Errorf("a folder that is not there: %v, %v", all, err)
	}
	r, err := Create(filepath.Join(root, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(Finished, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if all, err := List(root); err != nil || !reflect.DeepEqual(all, []string{filepath.Join(root, "mine")}) {
		t.Errorf("got %v, %v", all, err)
	}
	if all, err := List(file); err == nil {
		t.Errorf("a file is a folder of runs: %v", all)
	}
}
