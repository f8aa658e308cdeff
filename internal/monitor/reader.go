package monitor

import (
	"context"
	"errors"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/qlora/qlora/internal/runlog"
)

// Reader reads the runs of a folder for a table. A second call of Read reads
// only what is new.
type Reader struct{ w *watcher }

// NewReader returns a reader of the runs under root.
func NewReader(root string) *Reader { return &Reader{w: newWatcher(root)} }

// Read returns all runs, the last started first. A run that cannot be read says
// so in Problem.
func (r *Reader) Read(ctx context.Context) ([]Summary, error) {
	stale := r.w.look()
	if r.w.failure != "" {
		return nil, errors.New(r.w.failure)
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, one := range stale {
		group.Go(func() error {
			if ctx.Err() == nil {
				one.fail(runlog.MetricsFile, one.refreshMetrics())
			}
			return ctx.Err()
		})
	}
	err := group.Wait()
	var all []Summary
	for _, s := range r.w.all() {
		all = append(all, s.Summary)
	}
	for _, one := range stale {
		one.reading = false
	}
	return all, err
}
