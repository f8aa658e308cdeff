package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const prefix = "checkpoint-"

// ErrNone says that a run has no complete checkpoint.
var ErrNone = errors.New("no complete checkpoint")

// Store is the directory of one run that holds its checkpoints.
type Store struct {
	dir  string
	warn func(text string)
	fs   fsys
}

// NewStore keeps checkpoints under dir. warn is told of every checkpoint that
// is passed over or moved, in one line each.
func NewStore(dir string, warn func(text string)) *Store {
	return &Store{dir: dir, warn: warn, fs: disk{}}
}

// Entry is a complete checkpoint of a store.
type Entry struct {
	Path     string
	Step     int
	EvalLoss *float64 // when the step was evaluated
}

// Path is where the checkpoint of step is, or would be.
func (s *Store) Path(step int) string { return filepath.Join(s.dir, prefix+strconv.Itoa(step)) }

// complete tells whether the checkpoint at path has its marker.
func complete(path string) bool {
	_, err := os.Stat(filepath.Join(path, markerName))
	return err == nil
}

// scan lists the checkpoints with a marker, oldest first, and the paths of
// those without and of unfinished temporary directories.
func (s *Store) scan() (done []Entry, partial []string, err error) {
	dirs, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, d := range dirs {
		number, ok := strings.CutPrefix(d.Name(), prefix)
		if !ok || !d.IsDir() {
			continue
		}
		path := filepath.Join(s.dir, d.Name())
		step, err := strconv.Atoi(strings.TrimSuffix(number, tempSuffix))
		switch {
		case err != nil || step < 0:
		case complete(path) && !strings.HasSuffix(number, tempSuffix):
			done = append(done, Entry{Path: path, Step: step})
		default:
			partial = append(partial, path)
		}
	}
	slices.SortFunc(done, func(a, b Entry) int { return cmp.Compare(a.Step, b.Step) })
	return done, partial, nil
}

// List returns the complete checkpoints, oldest first. Those that are
// incomplete or unreadable are left out, and warned of.
func (s *Store) List() ([]Entry, error) {
	done, partial, err := s.scan()
	if err != nil {
		return nil, fmt.Errorf("list checkpoints of %s: %w", s.dir, err)
	}
	for _, path := range partial {
		s.warn(fmt.Sprintf("ignoring %s: it was not finished", path))
	}
	return s.readable(done), nil
}

// readable fills in the evaluation of each entry and drops those without one
// that can be read.
func (s *Store) readable(done []Entry) []Entry {
	var out []Entry
	for _, e := range done {
		head, err := readState(e.Path)
		if err != nil {
			s.warn(fmt.Sprintf("ignoring %s: %v", e.Path, err))
			continue
		}
		if p := head.Progress; p.EvalStep == p.Step {
			e.EvalLoss = p.EvalLoss
		}
		out = append(out, e)
	}
	return out
}

// best is the entry with the lowest evaluation loss, the earliest of equals;
// -1 when none was evaluated.
func best(entries []Entry) int {
	at := -1
	for i, e := range entries {
		if e.EvalLoss != nil && (at < 0 || *e.EvalLoss < *entries[at].EvalLoss) {
			at = i
		}
	}
	return at
}

// Open loads the checkpoint that which names: "last", "best" or a path. For
// "last" a corrupt one is passed over for the next older, aloud.
func (s *Store) Open(which string) (*Checkpoint, error) {
	if which != "last" && which != "best" {
		return Load(which)
	}
	entries, err := s.List()
	if err != nil {
		return nil, err
	}
	if which == "best" {
		at := best(entries)
		if at < 0 {
			return nil, fmt.Errorf("%s: %w with an evaluation", s.dir, ErrNone)
		}
		return Load(entries[at].Path)
	}
	for _, e := range slices.Backward(entries) {
		c, err := Load(e.Path)
		if err == nil {
			return c, nil
		}
		s.warn(fmt.Sprintf("passing over %s: %v", e.Path, err))
	}
	return nil, fmt.Errorf("%s: %w", s.dir, ErrNone)
}

// Prune deletes all but the newest keep checkpoints, the best one and those
// whose paths are given; keep 0 deletes none. It also sweeps away what
// interrupted saves and deletions left.
func (s *Store) Prune(keep int, protected ...string) error {
	done, partial, err := s.scan()
	if err != nil {
		return fmt.Errorf("list checkpoints of %s: %w", s.dir, err)
	}
	doomed := partial
	if entries := s.readable(done); keep > 0 && len(entries) > keep {
		at := best(entries)
		for i, e := range entries[:len(entries)-keep] {
			if i != at && !slices.Contains(protected, e.Path) {
				doomed = append(doomed, e.Path)
			}
		}
	}
	for _, path := range doomed {
		if err := s.discard(path); err != nil {
			return fmt.Errorf("delete old checkpoint: %w", err)
		}
	}
	return nil
}

// Rewind puts aside, as checkpoint-N.old, the checkpoints later than step: a
// run that goes back to step takes another path, and they are not its own.
func (s *Store) Rewind(step int) error {
	done, _, err := s.scan()
	if err != nil {
		return fmt.Errorf("list checkpoints of %s: %w", s.dir, err)
	}
	for _, e := range done {
		if e.Step <= step {
			continue
		}
		aside := e.Path + oldSuffix
		if err := s.fs.RemoveAll(aside); err != nil {
			return fmt.Errorf("put %s aside: %w", e.Path, err)
		}
		if err := s.fs.Rename(e.Path, aside); err != nil {
			return fmt.Errorf("put %s aside: %w", e.Path, err)
		}
		s.warn(fmt.Sprintf("continuing from step %d: %s is now %s", step, e.Path, aside))
	}
	return nil
}
