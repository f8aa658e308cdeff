package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

// TestScrubEndsWhileItWaits: Ctrl-C ends it also when standard input is a
// terminal or a pipe that says nothing, and leaves no file.
func TestScrubEndsWhileItWaits(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	s, _, _ := ui.Test()
	s.In = waiting(cancel)
	o := scrubOptions{out: filepath.Join(dir, "x.jsonl"), mode: redactMask, workers: 2}
	err := o.run(ctx, s, nil)
	var failure *ui.CodedError
	if !errors.As(err, &failure) || failure.Code != ui.ExitInterrupted {
		t.Errorf("ended with %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// waiting is a reader that calls begun when it is read from, and never
// returns.
type waiting func()

func (begun waiting) Read([]byte) (int, error) {
	begun()
	select {}
}

var _ io.Reader = waiting(nil)
