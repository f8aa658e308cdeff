package runlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// SamplesFile holds the samples of a run; one without has no such file.
const SamplesFile = "samples.jsonl"

// Sample is what the model of a checkpoint answered to a prompt.
type Sample struct {
	Step   int       `json:"step"`
	Prompt string    `json:"prompt"`
	Text   string    `json:"text"`
	Time   time.Time `json:"time"`
}

// WriteSample appends s as one line.
func (r *Run) WriteSample(s Sample) error {
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode sample of step %d: %w", s.Step, err)
	}
	f, err := os.OpenFile(filepath.Join(r.dir, SamplesFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open samples: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write sample of step %d: %w", s.Step, err)
	}
	return nil
}

// ReadSamples reads all samples of the run in dir, none when it has no file. A
// last line without its end is no sample.
func ReadSamples(dir string) ([]Sample, error) {
	path := filepath.Join(dir, SamplesFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	var all []Sample
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			return all, nil
		}
		var s Sample
		if err := json.Unmarshal(line, &s); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		all, text = append(all, s), rest
	}
}

// cutSamples drops those of steps after step, which a resumed run makes again.
func cutSamples(dir string, step int) error {
	all, err := ReadSamples(dir)
	if err != nil || len(all) == 0 {
		return err
	}
	var kept bytes.Buffer
	enc := json.NewEncoder(&kept)
	for _, s := range all {
		if s.Step > step {
			continue
		}
		if err := enc.Encode(s); err != nil {
			return fmt.Errorf("encode sample of step %d: %w", s.Step, err)
		}
	}
	return writeFile(filepath.Join(dir, SamplesFile), kept.Bytes())
}
