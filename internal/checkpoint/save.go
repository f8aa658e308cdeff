package checkpoint

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
)

const (
	paramsName  = "params.f32"
	momentsName = "moments.f32"
	stateName   = "state.json"
	tempSuffix  = ".tmp"
	// oldSuffix marks checkpoints left behind by a run that went back to an
	// earlier one.
	oldSuffix = ".old"
)

// Extra is a further file of a checkpoint, such as the adapter in the form
// that other programs load. Write creates it at the path given.
type Extra struct {
	Name  string
	Write func(path string) error
}

// stateFile is the content of state.json.
type stateFile struct {
	Format    int        `json:"format"`
	Progress  Progress   `json:"progress"`
	Elements  int        `json:"elements"`
	Params    []Param    `json:"params"`
	LossScale *LossScale `json:"loss_scale,omitempty"`
}

const stateFormat = 1

// Save writes checkpoint-N for N = p.Step and returns its path. After an error
// every checkpoint that was complete before is still complete, except one of
// the same step, which a new one replaces.
func (s *Store) Save(p Progress, state *State, extras ...Extra) (string, error) {
	if err := state.Check(); err != nil {
		return "", fmt.Errorf("checkpoint of step %d: %w", p.Step, err)
	}
	path := s.Path(p.Step)
	if err := s.save(path, p, state, extras); err != nil {
		return "", fmt.Errorf("save %s: %w", path, err)
	}
	return path, nil
}

func (s *Store) save(path string, p Progress, state *State, extras []Extra) error {
	temp := path + tempSuffix
	if err := s.fs.RemoveAll(temp); err != nil {
		return err
	}
	if err := s.fs.Mkdir(temp); err != nil {
		return err
	}
	marker, err := s.writeFiles(temp, p, state, extras)
	if err != nil {
		return err
	}
	if err := s.fs.Sync(temp); err != nil {
		return err
	}
	if err := s.discard(path); err != nil {
		return err
	}
	if err := s.fs.Rename(temp, path); err != nil {
		return err
	}
	if err := s.fs.Sync(s.dir); err != nil {
		return err
	}
	return s.mark(path, marker)
}

// writeFiles fills dir and returns the marker's text.
func (s *Store) writeFiles(dir string, p Progress, state *State, extras []Extra) ([]byte, error) {
	head := stateFile{Format: stateFormat, Progress: p, Elements: len(state.Weights), Params: state.Params, LossScale: state.LossScale}
	files := append([]Extra{
		{paramsName, s.writer(func(w io.Writer) error { return writeVectors(w, state.Weights) })},
		{momentsName, s.writer(func(w io.Writer) error { return writeVectors(w, state.M, state.V) })},
		{stateName, s.writer(func(w io.Writer) error { return writeJSON(w, head) })},
	}, extras...)
	var marker []byte
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := f.Write(path); err != nil {
			return nil, err
		}
		if err := s.fs.Sync(path); err != nil {
			return nil, err
		}
		line, err := seal(path)
		if err != nil {
			return nil, err
		}
		marker = append(marker, line...)
	}
	return marker, nil
}

// writer turns a function that writes to a stream into one that makes a file.
func (s *Store) writer(write func(io.Writer) error) func(path string) error {
	return func(path string) error {
		f, err := s.fs.Create(path)
		if err != nil {
			return err
		}
		w := bufio.NewWriterSize(f, 1<<16)
		err = write(w)
		if err == nil {
			err = w.Flush()
		}
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		return err
	}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// mark completes the checkpoint at path.
func (s *Store) mark(path string, marker []byte) error {
	done := filepath.Join(path, markerName)
	temp := done + tempSuffix
	write := s.writer(func(w io.Writer) error {
		_, err := w.Write(marker)
		return err
	})
	if err := write(temp); err != nil {
		return err
	}
	if err := s.fs.Sync(temp); err != nil {
		return err
	}
	if err := s.fs.Rename(temp, done); err != nil {
		return err
	}
	return s.fs.Sync(path)
}

// discard deletes a checkpoint, its marker first: cut short, it leaves an
// incomplete one.
func (s *Store) discard(path string) error {
	if complete(path) {
		if err := s.fs.Remove(filepath.Join(path, markerName)); err != nil {
			return err
		}
		if err := s.fs.Sync(path); err != nil {
			return err
		}
	}
	return s.fs.RemoveAll(path)
}
