package monitor

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/qlora/qlora/internal/runlog"
)

// pollInterval is how often a folder is looked at. Asking works on every file
// system, also on one that another machine writes to.
const pollInterval = 200 * time.Millisecond

// watcher keeps the runs of a folder up to date.
type watcher struct {
	root string
	hub  *hub

	mu      sync.RWMutex
	runs    map[string]*run
	failure string // why root could not be listed

	work chan *run
	done chan *run
}

func newWatcher(root string) *watcher {
	return &watcher{root: root, hub: newHub(), runs: map[string]*run{}}
}

// watch looks at the folder every interval until ctx is done. Files are read by
// half of the cores, the newest run first: the others are for the page, and for
// the training that it shows.
func (w *watcher) watch(ctx context.Context, interval time.Duration) {
	w.work, w.done = make(chan *run), make(chan *run)
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		go w.read(ctx)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var queue []*run
	for {
		queue = append(queue, w.look()...)
		for waiting := true; waiting; {
			var work chan *run
			var next *run
			if len(queue) > 0 {
				work, next = w.work, queue[0]
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				waiting = false
			case work <- next:
				queue = queue[1:]
			case r := <-w.done:
				r.reading = false
			}
		}
	}
}

// read is a reader: it brings runs up to date.
func (w *watcher) read(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-w.work:
			err := r.refresh()
			if !errors.Is(err, fs.ErrNotExist) { // gone: the next look says so
				r.fail(runlog.MetricsFile, err)
			}
			w.hub.publish(r.name)
			select {
			case <-ctx.Done():
				return
			case w.done <- r:
			}
		}
	}
}

// refresh brings the metrics up to date, or shows a preview of them: the next
// look then finds them still to be read, after those of all other runs.
func (r *run) refresh() error {
	if r.wantsPreview() {
		return r.readPreview()
	}
	return r.refreshMetrics()
}

// look lists the folder and returns the runs whose metrics have to be read, in
// that order.
func (w *watcher) look() []*run {
	dirs, err := runlog.List(w.root)
	w.setFailure(err)
	if err != nil {
		return nil
	}
	w.forget(dirs)
	var stale []*run
	for _, dir := range dirs {
		r := w.adopt(dir)
		if r.reading {
			continue
		}
		if r.refreshState() {
			w.hub.publish(r.name)
		}
		info, err := os.Stat(r.tail.path)
		if err == nil && !r.tail.caughtUp(info) {
			r.reading = true
			stale = append(stale, r)
		}
	}
	return stale
}

func (w *watcher) setFailure(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure != text {
		w.failure = text
		w.hub.wakeAll()
	}
}

// adopt returns the run in dir, which may be new.
func (w *watcher) adopt(dir string) *run {
	fresh := newRun(dir)
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.runs[fresh.name]; r != nil {
		return r
	}
	w.runs[fresh.name] = fresh
	return fresh
}

// forget drops the runs that are not among dirs.
func (w *watcher) forget(dirs []string) {
	there := map[string]bool{}
	for _, dir := range dirs {
		there[dir] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, r := range w.runs {
		if !there[r.dir] {
			delete(w.runs, name)
			w.hub.publish(name)
		}
	}
}

// find returns the run of that name, or nil. Names are looked up, never joined
// to a path.
func (w *watcher) find(name string) *run {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.runs[name]
}

// all are the runs, the last started first.
func (w *watcher) all() []pageSummary {
	w.mu.RLock()
	runs := slices.Collect(maps.Values(w.runs))
	w.mu.RUnlock()
	all := make([]pageSummary, 0, len(runs))
	for _, r := range runs {
		all = append(all, r.pageSummary())
	}
	slices.SortFunc(all, func(a, b pageSummary) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Run, b.Run))
	})
	return all
}
