package extsort

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// entryCost is what an entry takes beside its bytes.
const entryCost = 16

// Sorter takes byte strings in any order and gives them back in the order of
// bytes.Compare. It is for one goroutine.
type Sorter struct {
	dir    string
	budget int64
	arena  []byte
	spans  []span // of the entries in arena
	runs   []*run
}

// span is where an entry lies in the arena.
type span struct {
	start int
	size  int
}

// New keeps about budget bytes in memory, at least 1 MiB, and spills the rest
// into the folder dir.
func New(dir string, budget int64) *Sorter {
	return &Sorter{dir: dir, budget: max(budget, 1<<20)}
}

// Add takes a copy of entry.
func (s *Sorter) Add(entry []byte) error {
	if s.used()+int64(len(entry))+entryCost > s.budget && len(s.spans) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.spans = append(s.spans, span{start: len(s.arena), size: len(entry)})
	s.arena = append(s.arena, entry...)
	return nil
}

func (s *Sorter) used() int64 { return int64(len(s.arena)) + entryCost*int64(len(s.spans)) }

func (s *Sorter) entry(at span) []byte { return s.arena[at.start : at.start+at.size] }

func (s *Sorter) sort() {
	slices.SortFunc(s.spans, func(a, b span) int { return bytes.Compare(s.entry(a), s.entry(b)) })
}

// spill writes the entries in memory as one sorted run.
func (s *Sorter) spill() error {
	s.sort()
	f, err := Unnamed(s.dir)
	if err != nil {
		return err
	}
	r := &run{file: f}
	s.runs = append(s.runs, r)
	if err := r.write(s); err != nil {
		return fmt.Errorf("spill a sorted run into %s: %w", s.dir, err)
	}
	s.arena, s.spans = s.arena[:0], s.spans[:0]
	return nil
}

// Each calls visit with every entry in order; the bytes are valid during the
// call. It may be called again, until the next Add.
func (s *Sorter) Each(visit func(entry []byte) error) error {
	s.sort()
	if len(s.runs) == 0 {
		for _, at := range s.spans {
			if err := visit(s.entry(at)); err != nil {
				return err
			}
		}
		return nil
	}
	return s.merge(visit)
}

// Spilled is the number of runs on disk.
func (s *Sorter) Spilled() int { return len(s.runs) }

// Close frees memory and disk. It may be called twice.
func (s *Sorter) Close() error {
	var all error
	for _, r := range s.runs {
		all = errors.Join(all, r.file.Close())
	}
	*s = Sorter{dir: s.dir, budget: s.budget}
	return all
}

// Unnamed opens a new file in dir that has no name: its space is freed when it
// is closed, or when the process ends.
func Unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".qlora-spill-*")
	if err != nil {
		return nil, fmt.Errorf("create a temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink temporary file %s: %w", filepath.Base(f.Name()), err), f.Close())
	}
	return f, nil
}

// rewind starts reading a file from its beginning.
func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}
