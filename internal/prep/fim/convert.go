package fim

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/qlora/qlora/internal/prep"
)

const maxProblems = 100

// Convert writes the records of every repository to o.Out, which appears only
// when all went well. Records come in order of repository, path and place.
func Convert(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	report := &Report{
		Kinds: prep.Tally{}, Languages: prep.Tally{}, Left: prep.Tally{},
		Format: o.Format, Seed: o.Seed, Out: o.Out,
	}
	jobs, err := gather(ctx, o, report)
	if err != nil {
		return nil, err
	}
	out, err := prep.Create(o.Out)
	if err != nil {
		return nil, err
	}
	defer out.Abort()
	if err := writeAll(ctx, o, jobs, out, report); err != nil {
		return report, err
	}
	if report.Records == 0 {
		return report, fmt.Errorf("%w among %d files", ErrNothing, report.Files)
	}
	report.OutBytes, report.SHA256 = out.Size(), out.SHA256()
	return report, out.Commit()
}

// gather lists the files of all repositories.
func gather(ctx context.Context, o Options, report *Report) ([]job, error) {
	names, err := repoNames(o.Repos)
	if err != nil {
		return nil, err
	}
	var jobs []job
	var total int64
	for i, dir := range o.Repos {
		l, err := list(ctx, dir, names[i])
		if err != nil {
			return nil, err
		}
		report.Repos = append(report.Repos, l)
		for _, path := range l.paths {
			j := screen(l, path, o)
			jobs, total = append(jobs, j), total+j.size
		}
	}
	report.Files = len(jobs)
	if o.Total != nil {
		o.Total(total)
	}
	return jobs, nil
}

// repoNames names each repository after its folder. Where two share a name,
// the later one gets its parent folder's name too.
func repoNames(dirs []string) ([]string, error) {
	seen := map[string]string{}
	var names []string
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("find repository %s: %w", dir, err)
		}
		name := filepath.Base(abs)
		if seen[name] != "" && seen[name] != abs {
			name = filepath.Base(filepath.Dir(abs)) + "/" + name
		}
		if other := seen[name]; other != "" {
			return nil, fmt.Errorf("repositories %s and %s would both be named %s", other, dir, name)
		}
		seen[name] = abs
		names = append(names, name)
	}
	return names, nil
}

// writeAll harvests the files on o.Workers goroutines and writes what they
// yield in the order of jobs.
func writeAll(ctx context.Context, o Options, jobs []job, out *prep.File, report *Report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan chan *yield, o.Workers-1) // with the one in hand, o.Workers at work
	go func() {
		defer close(queue)
		for _, j := range jobs {
			slot := make(chan *yield, 1)
			select {
			case queue <- slot:
				go func() { slot <- harvest(j, o) }()
			case <-ctx.Done():
				return
			}
		}
	}()
	seen := map[string]bool{}
	for slot := range queue {
		y := <-slot
		if err := ctx.Err(); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(y.size)
		}
		if y.hash != "" && seen[y.hash] {
			y.reason = reasonDuplicate
		}
		seen[y.hash] = true
		if err := report.take(y, out); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// take writes what a file yielded, or counts why it yielded nothing.
func (rep *Report) take(y *yield, out *prep.File) error {
	switch {
	case y.err != nil:
		rep.Skipped++
		if len(rep.Problems) < maxProblems {
			rep.Problems = append(rep.Problems, prep.Problem{File: y.repo + "/" + y.path, Reason: y.err.Error()})
		}
		return nil
	case y.reason != "":
		rep.Left.Add(y.reason, 1)
		return nil
	}
	for _, r := range y.records {
		if err := out.WriteJSON(r); err != nil {
			return err
		}
	}
	rep.Used++
	rep.Bytes += y.size
	rep.Records += len(y.records)
	rep.Middle += y.middle
	rep.Languages.Add(y.lang, len(y.records))
	for _, kind := range y.kinds {
		rep.Kinds.Add(kind, 1)
	}
	if y.unparsed {
		rep.Unparsed++
	}
	return nil
}
