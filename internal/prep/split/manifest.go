package split

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// Names of the outputs in the output folder. They do not depend on the name of
// the split, which labels the manifest only.
const (
	TrainFile = "train.jsonl"
	EvalFile  = "eval.jsonl"
)

const manifestFormat = "qlora-split"

// Manifest is written as manifest-<name>.json beside the outputs. It holds no
// time of writing, so that equal inputs give equal manifests.
type Manifest struct {
	Format     string         `json:"format"` // "qlora-split"
	Version    int            `json:"version"`
	Name       string         `json:"name"`
	Seed       uint64         `json:"seed"`
	EvalFrac   float64        `json:"eval_frac"`
	Near       float64        `json:"near"`
	GroupBy    string         `json:"group_by"`
	MaxSamples int            `json:"max_samples,omitempty"`
	Inputs     []*Input       `json:"inputs"`
	Ignored    []Skip         `json:"ignored_inputs"`
	Outputs    []Output       `json:"outputs"` // train, then eval
	Dropped    prep.Tally     `json:"dropped"` // records, by reason
	Skipped    int            `json:"skipped_lines"`
	Problems   []prep.Problem `json:"problems"` // the first of the skipped lines
	Notes      []string       `json:"notes,omitempty"`
	Leak       *Leak          `json:"leak"`                 // null when near duplicates were not looked for
	Uncompared int64          `json:"uncompared,omitempty"` // comparisons in crowded buckets that were not made
}

// Output is one of the two files written.
type Output struct {
	Path    string         `json:"path"` // relative to the manifest
	Bytes   int64          `json:"bytes"`
	SHA256  string         `json:"sha256"`
	Records int            `json:"records"`
	Groups  int            `json:"groups"`
	Kinds   map[string]int `json:"kinds"`
}

func (m *Manifest) note(text string) { m.Notes = append(m.Notes, text) }

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func manifestPath(dir, name string) string { return filepath.Join(dir, "manifest-"+name+".json") }

// manifests are the outputs that the manifests of some folders speak of: the
// manifest's name by hash, by size.
type manifests map[int64]map[string]string

// loadManifests reads every manifest in the folders. A file of that name that
// is something else is passed over.
func loadManifests(dirs []string) (manifests, error) {
	known := manifests{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for manifests: %w", err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "manifest-") || filepath.Ext(e.Name()) != ".json" {
				continue
			}
			if err := known.load(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return known, nil
}

func (known manifests) load(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	var m Manifest
	if json.Unmarshal(text, &m) != nil || m.Format != manifestFormat {
		return nil
	}
	for _, out := range m.Outputs {
		if known[out.Bytes] == nil {
			known[out.Bytes] = map[string]string{}
		}
		known[out.Bytes][out.SHA256] = filepath.Base(path)
	}
	return nil
}

// wrote names the manifest that lists the content of path as an output. Only
// files of a known size are hashed. Empty files prove nothing.
func (known manifests) wrote(path string, size int64) (string, error) {
	if size == 0 || known[size] == nil {
		return "", nil
	}
	sum, err := hashFile(path)
	if err != nil {
		return "", err
	}
	return known[size][sum], nil
}

// ForeignError tells that an output would replace a file that this command did
// not write, or that was changed since.
type ForeignError struct{ Path string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s exists and is not an earlier output of split, or was changed since", e.Path)
}

// guard refuses to replace what was not written by this command.
func guard(outputs []string, known manifests) error {
	for _, path := range outputs {
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at output: %w", err)
		}
		manifest, err := known.wrote(path, info.Size())
		if err != nil {
			return err
		}
		if manifest == "" {
			return &ForeignError{Path: path}
		}
	}
	return nil
}
