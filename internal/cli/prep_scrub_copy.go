package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/scrub"
)

// scrubBytes is how much input one worker is given at a time: enough that
// handing it over costs nothing, little enough for the bar to move.
const scrubBytes = 512 << 10

// scrubProblems is how many skipped lines a report names.
const scrubProblems = 100

// scrubJob copies files through a scrubber: one goroutine reads lines, several
// clean them, and the results are written in the order of the input, so that
// the output does not depend on how many there are.
type scrubJob struct {
	options  *scrubOptions
	scrubber *scrub.Scrubber
	in       io.Reader // standard input
	paths    []string
	out      io.Writer
	report   *scrubReport
	progress func(n int64)
}

// scrubBatch is a run of lines of one file and what became of them.
type scrubBatch struct {
	path   string
	first  bool        // of its file
	lines  []prep.Line // of their data only the length counts
	data   []byte      // of all lines
	size   int64       // bytes of the file
	out    []byte
	report scrubReport
	done   chan struct{}
}

// run works until all is written. The first error ends everything.
func (j *scrubJob) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	work := make(chan *scrubBatch)
	ordered := make(chan *scrubBatch, j.options.workers)
	group.Go(func() error {
		defer close(work)
		defer close(ordered)
		return j.read(ctx, func(b *scrubBatch) error {
			for _, to := range []chan<- *scrubBatch{ordered, work} {
				select {
				case to <- b:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range j.options.workers {
		group.Go(func() error {
			for b := range work {
				j.clean(b)
			}
			return nil
		})
	}
	group.Go(func() error { return j.write(ctx, ordered) })
	return group.Wait()
}

// read cuts the inputs into batches.
func (j *scrubJob) read(ctx context.Context, emit func(*scrubBatch) error) error {
	for _, path := range j.paths {
		if err := j.readFile(ctx, path, emit); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads one input; - is standard input.
func (j *scrubJob) readFile(ctx context.Context, path string, emit func(*scrubBatch) error) error {
	in, err := j.open(ctx, path)
	if err != nil {
		return fmt.Errorf("open input: %w", err)
	}
	defer in.Close()
	lines := prep.NewLines(in, 0)
	b := newScrubBatch(path)
	b.first = true
	for ctx.Err() == nil {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return emit(b)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		b.add(line)
		if b.size >= scrubBytes {
			if err := emit(b); err != nil {
				return err
			}
			b = newScrubBatch(path)
		}
	}
	return ctx.Err()
}

func (j *scrubJob) open(ctx context.Context, path string) (io.ReadCloser, error) {
	if path == "-" {
		return dataset.Unpack(ctx, dataset.Interruptible(ctx, j.in), j.progress)
	}
	return dataset.Open(ctx, path, j.progress)
}

func newScrubBatch(path string) *scrubBatch {
	return &scrubBatch{path: path, report: scrubReport{Redacted: prep.Tally{}}, done: make(chan struct{})}
}

func (b *scrubBatch) add(line prep.Line) {
	b.data = append(b.data, line.Data...)
	b.size += line.Size
	b.lines = append(b.lines, line)
}

// clean does a batch, line by line.
func (j *scrubJob) clean(b *scrubBatch) {
	defer close(b.done)
	rest := b.data
	for _, line := range b.lines {
		n := len(line.Data)
		line.Data, rest = rest[:n:n], rest[n:]
		j.options.cleanLine(j.scrubber, line, b)
	}
	b.data, b.lines = nil, nil
}

// write puts the results into the output in order. A file whose last line has
// no end gets one when another follows.
func (j *scrubJob) write(ctx context.Context, ordered <-chan *scrubBatch) error {
	open := false
	for b := range ordered {
		select {
		case <-b.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if len(b.out) > 0 {
			if open && b.first {
				b.out = append([]byte{'\n'}, b.out...)
			}
			open = b.out[len(b.out)-1] != '\n'
		}
		if _, err := j.out.Write(b.out); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		j.report.merge(b.report)
	}
	return nil
}

func (r *scrubReport) merge(o scrubReport) {
	r.Records += o.Records
	r.Dropped += o.Dropped
	r.Skipped += o.Skipped
	r.Redacted.Merge(o.Redacted)
	r.Problems = append(r.Problems, o.Problems[:min(len(o.Problems), scrubProblems-len(r.Problems))]...)
}

// cleanLine adds one record to the batch's output, clean, or counts why not.
func (o *scrubOptions) cleanLine(scrubber *scrub.Scrubber, line prep.Line, b *scrubBatch) {
	if line.Blank() && !o.text {
		b.out = append(append(b.out, line.Data...), lineEnd(line)...)
		return
	}
	r, counts := &b.report, prep.Tally{}
	clean, err := o.clean(scrubber, line, counts)
	if err != nil {
		r.Skipped++
		if len(r.Problems) < scrubProblems {
			r.Problems = append(r.Problems, prep.Problem{File: b.path, Line: line.Number, Reason: err.Error()})
		}
		return
	}
	r.Redacted.Merge(counts)
	if o.mode == redactDrop && len(counts) > 0 {
		r.Dropped++
		return
	}
	r.Records++
	b.out = append(append(b.out, clean...), lineEnd(line)...)
}

// lineEnd is what stands behind the data of a line, which stays as it was.
func lineEnd(line prep.Line) string {
	switch n := line.Size - int64(len(line.Data)); {
	case n == 2:
		return "\r\n"
	case n == 0:
		return ""
	case line.Open:
		return "\r"
	default:
		return "\n"
	}
}

func (o *scrubOptions) clean(scrubber *scrub.Scrubber, line prep.Line, counts map[string]int) ([]byte, error) {
	switch {
	case line.TooLong:
		return nil, errors.New("line too long")
	case o.mode == redactOff:
		return line.Data, nil
	case o.text:
		return []byte(scrubber.Clean(string(line.Data), counts)), nil
	default:
		data, mark := bytes.CutPrefix(line.Data, byteOrderMark)
		clean, err := scrubber.CleanJSON(data, counts)
		if mark && err == nil {
			clean = slices.Concat(byteOrderMark, clean)
		}
		return clean, err
	}
}

// byteOrderMark begins files that some editors wrote.
var byteOrderMark = []byte("\ufeff")
