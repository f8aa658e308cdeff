package runlog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// followInterval is how often Follow looks for new lines.
const followInterval = 200 * time.Millisecond

// Follow calls each for every report of the run in dir, those already there
// and those to come, and bad for every line that is none, until the run ends, ctx
// is done or each fails. A done context is no error. A resume replaces the file;
// reports that each has had are not handed over again, those of steps that are
// run again are.
func Follow(ctx context.Context, dir string, each func(Metrics) error, bad func(BadLine)) error {
	f := follower{path: filepath.Join(dir, MetricsFile), each: each, bad: bad}
	if err := f.open(); err != nil {
		return err
	}
	defer func() { f.file.Close() }()
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		// The status is read before the lines, so that none written between
		// the two is missed.
		status, err := ReadStatus(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // one that has stored none does not run
			return err
		}
		if err := f.more(); err != nil {
			return err
		}
		if status.State.Ended() {
			f.tail.end()
		}
		if status.State != Running {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follower hands over the reports of a metrics file, whichever file that is.
type follower struct {
	path string
	each func(Metrics) error
	bad  func(BadLine)

	file *os.File
	tail tail
	had  []reportID // what each has had
	next int        // of them, the one that the next line may repeat
}

// reportID tells reports of a run apart.
type reportID struct {
	step int
	time int64
}

func (f *follower) open() error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("follow run: %w", err)
	}
	f.file, f.next = file, 0
	f.tail = tail{path: f.path, r: bufio.NewReader(file), bad: f.bad}
	return nil
}

// more hands over what has come since the last call.
func (f *follower) more() error {
	if f.replaced() {
		old := f.file
		if err := f.open(); err != nil {
			return err
		}
		old.Close() // it was only read
	}
	return f.tail.drain(f.report)
}

// report hands m over, unless it is the report that each had at this place.
func (f *follower) report(m Metrics) error {
	id := reportID{m.Step, m.Time.UnixNano()}
	if f.next < len(f.had) && f.had[f.next] == id {
		f.next++
		return nil
	}
	f.had = append(f.had[:f.next], id)
	f.next++
	return f.each(m)
}

// replaced tells whether another file is in the place of this one, or this one
// is shorter than what was read of it.
func (f *follower) replaced() bool {
	there, err := os.Stat(f.path)
	if err != nil {
		return false // between two names; the next look tells
	}
	own, err := f.file.Stat()
	if err != nil || !os.SameFile(there, own) {
		return err == nil
	}
	at, err := f.file.Seek(0, io.SeekCurrent)
	return err == nil && there.Size() < at
}
