package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Checkpoint is a loaded one.
type Checkpoint struct {
	Path     string
	Progress Progress
	State    *State
}

// Load reads the checkpoint directory at path after holding every file to the
// marker's sizes and checksums. The error wraps ErrIncomplete or ErrCorrupt
// when that is the reason.
func Load(path string) (*Checkpoint, error) {
	if err := verify(path); err != nil {
		return nil, err
	}
	head, err := readState(path)
	if err != nil {
		return nil, err
	}
	params, err := readVectors(filepath.Join(path, paramsName), 1, head.Elements)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	moments, err := readVectors(filepath.Join(path, momentsName), 2, head.Elements)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	state := &State{Params: head.Params, Weights: params[0], M: moments[0], V: moments[1], LossScale: head.LossScale}
	if err := state.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrCorrupt, err)
	}
	return &Checkpoint{Path: path, Progress: head.Progress, State: state}, nil
}

// readState reads state.json alone.
func readState(path string) (*stateFile, error) {
	name := filepath.Join(path, stateName)
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	head := &stateFile{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(head); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrCorrupt, err)
	}
	if head.Format != stateFormat {
		return nil, fmt.Errorf("%s: format %d, this program reads %d", name, head.Format, stateFormat)
	}
	if head.Elements < 0 {
		return nil, fmt.Errorf("%s: %w: %d elements", name, ErrCorrupt, head.Elements)
	}
	return head, nil
}
