package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/qlora/qlora/internal/prep/split"
	prepstats "github.com/qlora/qlora/internal/prep/stats"
	"github.com/qlora/qlora/internal/ui"
)

// talkStats prints what a command wrote to paths, its samples, tokens and a
// histogram of their lengths, for the person at the terminal. Elsewhere it does
// nothing: the outputs are read once more for it, and scripts have prep stats.
// Model names a GGUF file to count with; empty, lengths are estimated.
func talkStats(ctx context.Context, s *ui.Streams, model string, paths ...string) (err error) {
	if !s.ErrTTY || s.Quiet || s.JSON {
		return nil
	}
	o := statsOptions{vocabularyOptions: vocabularyOptions{model: model}}
	v, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	r, err := measureFiles(ctx, s, o.options(v, paths))
	if r != nil {
		talkTally(s, "records that training would leave out", r.Reasons)
	}
	switch {
	case errors.Is(err, prepstats.ErrNothing):
		return nil
	case errors.Is(err, context.Canceled):
		return ui.Fail(ui.ExitInterrupted, errors.New("interrupted while measuring what was written, which is complete"))
	case err != nil:
		return prepFailure(fmt.Errorf("measure what was written: %w", err))
	}
	s.Infof("\n")
	return r.WriteText(s.Err, prepstats.TextOptions{Width: s.Width, ASCII: s.Dumb, Brief: true})
}

// talkStats measures the files that split wrote.
func (o *splitOptions) talkStats(ctx context.Context, s *ui.Streams, m *split.Manifest) error {
	var paths []string
	for _, out := range m.Outputs {
		paths = append(paths, filepath.Join(o.OutDir, out.Path))
	}
	return talkStats(ctx, s, "", paths...)
}
