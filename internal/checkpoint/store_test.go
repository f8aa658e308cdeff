package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// saveLoss saves a step with the evaluation loss given, or none below 0.
func saveLoss(t *testing.T, s *Store, step int, loss float64) {
	t.Helper()
	p, state := sample(step)
	p.EvalLoss = &loss
	if loss < 0 {
		p.EvalStep, p.EvalLoss = 0, nil
	}
	if _, err := s.Save(p, state); err != nil {
		t.Fatal(err)
	}
}

func steps(t *testing.T, s *Store) []int {
	t.Helper()
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, e := range entries {
		out = append(out, e.Step)
	}
	return out
}

func TestOpenLastAndBest(t *testing.T) {
	s, _ := testStore(t)
	if _, err := s.Open("last"); !errors.Is(err, ErrNone) {
		t.Errorf("empty store: %v", err)
	}
	saveLoss(t, s, 9, -1)
	if _, err := s.Open("best"); !errors.Is(err, ErrNone) {
		t.Errorf("best without an evaluation: %v", err)
	}
	saveLoss(t, s, 10, 2.5)
	saveLoss(t, s, 20, 1.5)
	saveLoss(t, s, 100, 1.5)
	saveLoss(t, s, 110, -1)
	for which, want := range map[string]int{"last": 110, "best": 20, filepath.Join(s.dir, "checkpoint-10"): 10} {
		c, err := s.Open(which)
		if err != nil {
			t.Fatal(err)
		}
		if c.Progress.Step != want {
			t.Errorf("%s is step %d, want %d", which, c.Progress.Step, want)
		}
	}
}

func TestIncompleteAndCorruptArePassedOverAloud(t *testing.T) {
	s, warnings := testStore(t)
	save(t, s, 1)
	corrupt := save(t, s, 2)
	incomplete := save(t, s, 3)
	if err := os.WriteFile(filepath.Join(corrupt, paramsName), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(incomplete, markerName)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Open("last")
	if err != nil {
		t.Fatal(err)
	}
	if c.Progress.Step != 1 {
		t.Errorf("last is step %d, want 1", c.Progress.Step)
	}
	for _, path := range []string{corrupt, incomplete} {
		if !slices.ContainsFunc(*warnings, func(w string) bool { return strings.Contains(w, path) }) {
			t.Errorf("%s is not among the warnings %q", path, *warnings)
		}
	}
	if _, err := s.Open(incomplete); !errors.Is(err, ErrIncomplete) {
		t.Errorf("incomplete by path: %v", err)
	}
}

func TestPruneKeepsNewestAndBest(t *testing.T) {
	s, _ := testStore(t)
	for step, loss := range []float64{3, 1, 2, 2, 2, 2} {
		saveLoss(t, s, step, loss)
	}
	if err := os.MkdirAll(s.Path(7)+tempSuffix, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(0); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, s); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5}) {
		t.Errorf("keep 0 leaves %v", got)
	}
	if err := s.Prune(2, s.Path(3)); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, s); !slices.Equal(got, []int{1, 3, 4, 5}) {
		t.Errorf("keep 2 with 3 protected leaves %v", got)
	}
	dirs, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) != 4 {
		t.Errorf("left behind: %v", dirs)
	}
}

func TestRewindPutsLaterOnesAside(t *testing.T) {
	s, warnings := testStore(t)
	for _, step := range []int{5, 10, 15} {
		save(t, s, step)
	}
	for range 2 {
		if err := s.Rewind(5); err != nil {
			t.Fatal(err)
		}
		if got := steps(t, s); !slices.Equal(got, []int{5}) {
			t.Errorf("after rewinding to 5: %v", got)
		}
		c, err := Load(s.Path(15) + oldSuffix)
		if err != nil || c.Progress.Step != 15 {
			t.Errorf("step 15 put aside: %v", err)
		}
		save(t, s, 15)
	}
	if len(*warnings) != 3 {
		t.Errorf("warnings %q, want one for each of three moves", *warnings)
	}
}

func TestSaveReplacesTheSameStep(t *testing.T) {
	s, _ := testStore(t)
	p, state := sample(4)
	if _, err := s.Save(p, state); err != nil {
		t.Fatal(err)
	}
	p.Epoch, state.Weights[0] = 99, 7
	path, err := s.Save(p, state)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Progress.Epoch != 99 || c.State.Weights[0] != 7 {
		t.Errorf("epoch %d, weight %g", c.Progress.Epoch, c.State.Weights[0])
	}
}

func TestMissingIsNotIncomplete(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "checkpoint-3"))
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "checkpoint-3") {
		t.Errorf("error %v", err)
	}
}
