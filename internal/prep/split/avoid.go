package split

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
)

// avoidWords is how many words in a row a record may not share with a text
// that is kept out of the data, such as a benchmark.
const avoidWords = 10

// avoided are the runs of words of such texts. A nil avoided meets nothing.
type avoided struct {
	runs   map[uint64]bool
	hashes []string // of the files
}

// readAvoided reads the strings of JSON lines, and other lines as they are.
func readAvoided(ctx context.Context, paths []string) (*avoided, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	v := &avoided{runs: map[uint64]bool{}}
	for _, path := range paths {
		if err := v.readFile(ctx, path); err != nil {
			return nil, err
		}
		sum, err := hashFile(path)
		if err != nil {
			return nil, err
		}
		v.hashes = append(v.hashes, sum)
	}
	slices.Sort(v.hashes)
	return v, nil
}

func (v *avoided) readFile(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open text to keep out: %w", err)
	}
	if err := regular("text to keep out", path, info); err != nil {
		return err
	}
	f, err := dataset.Open(ctx, path, nil)
	if err != nil {
		return fmt.Errorf("open text to keep out: %w", err)
	}
	defer f.Close()
	lines := prep.NewLines(f, 0)
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("read text to keep out %s: %w", path, err)
		}
		v.add(string(line.Data))
	}
}

// add takes a line: each string of a JSON value for itself, or plain text.
func (v *avoided) add(line string) {
	if depth(line) > maxDepth || !gjson.Valid(line) {
		v.addText(line)
		return
	}
	var t reader
	t.strings(gjson.Parse(line), true)
	for _, text := range t.words {
		v.addText(text)
	}
}

func (v *avoided) addText(text string) {
	var s shingler
	s.split(text)
	for i := 0; i+avoidWords <= len(s.words); i++ {
		v.runs[join(s.words[i:i+avoidWords])] = true
	}
}

// meets tells whether words hold a run that is avoided.
func (v *avoided) meets(words []uint64) bool {
	if v == nil {
		return false
	}
	for i := 0; i+avoidWords <= len(words); i++ {
		if v.runs[join(words[i:i+avoidWords])] {
			return true
		}
	}
	return false
}
