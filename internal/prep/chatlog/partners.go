package chatlog

import (
	"context"
	"errors"
	"path"
	"regexp"
	"slices"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// withResults puts files with results of Message Batches behind the file of
// their requests. Where there are several, custom_ids tell which that is; a
// program may use the same ones in every batch.
func (in *inputs) withResults(ctx context.Context) error {
	in.dropTwins()
	var requests []int
	results := 0
	for i, src := range in.sources {
		switch src.kind {
		case kindBatch:
			requests = append(requests, i)
		case kindResults:
			results++
		}
	}
	if len(requests) == 0 || results == 0 {
		return nil
	}
	m := matcher{ctx: ctx, sources: in.sources, requests: requests}
	for i, src := range in.sources {
		if src.kind != kindResults {
			continue
		}
		found, err := m.find(src)
		if err != nil {
			return err
		}
		switch {
		case len(found) == 1:
			in.sources[found[0]].replies = append(in.sources[found[0]].replies, src)
			in.sources[i].kind = kindUnknown // it is no source of its own any more
		case len(found) > 1:
			in.problems = append(in.problems, prep.Problem{File: src.name, Reason: reasonManyRequests})
		}
	}
	in.sources = slices.DeleteFunc(in.sources, func(src source) bool { return src.kind == kindUnknown })
	return nil
}

// dropTwins leaves out files of batches that are found a second time, through
// a link or because folders overlap: their results would fit both.
func (in *inputs) dropTwins() {
	var kept []source
	for _, src := range in.sources {
		twin := func(other source) bool {
			return other.kind == src.kind && other.entry == src.entry && sameFile(other.path, src.path)
		}
		if (src.kind == kindBatch || src.kind == kindResults) && slices.ContainsFunc(kept, twin) {
			in.twins++
			continue
		}
		kept = append(kept, src)
	}
	in.sources = kept
}

// matcher finds the requests of results among several files.
type matcher struct {
	ctx      context.Context
	sources  []source
	requests []int // sources that hold some
	ids      []map[string]bool
}

// find returns the source with the requests of results, none, or several of
// which each may be it.
func (m *matcher) find(results source) ([]int, error) {
	if len(m.requests) == 1 {
		return m.requests, nil
	}
	if err := m.readIDs(); err != nil {
		return nil, err
	}
	ids, err := customIDs(m.ctx, results)
	if err != nil {
		return nil, err
	}
	best, found := 0.0, []int(nil)
	for k, i := range m.requests {
		switch like := alike(ids, m.ids[k]); {
		case like > best:
			best, found = like, []int{i}
		case like == best && like > 0:
			found = append(found, i)
		}
	}
	found = m.narrow(found, func(src source) bool { return path.Dir(src.name) == path.Dir(results.name) })
	return m.narrow(found, func(src source) bool {
		return requestWord.ReplaceAllString(baseName(src.name), "$1*$3") == resultWord.ReplaceAllString(baseName(results.name), "$1*$3")
	}), nil
}

var resultWord = regexp.MustCompile(`(?i)(^|[^a-z])(results?|responses?|res)([^a-z]|$)`)

// narrow keeps those that fit, if any does.
func (m *matcher) narrow(found []int, fits func(source) bool) []int {
	fit := slices.DeleteFunc(slices.Clone(found), func(i int) bool { return !fits(m.sources[i]) })
	if len(fit) == 0 {
		return found
	}
	return fit
}

func (m *matcher) readIDs() error {
	if m.ids != nil {
		return nil
	}
	for _, i := range m.requests {
		ids, err := customIDs(m.ctx, m.sources[i])
		if err != nil {
			return err
		}
		m.ids = append(m.ids, ids)
	}
	return nil
}

// alike is the Jaccard similarity of two sets.
func alike(a, b map[string]bool) float64 {
	shared := 0
	for id := range a {
		if b[id] {
			shared++
		}
	}
	return float64(shared) / float64(max(len(a)+len(b)-shared, 1))
}

// customIDs reads the ids of a file. What cannot be read is reported when the
// file is converted.
func customIDs(ctx context.Context, src source) (map[string]bool, error) {
	ids := map[string]bool{}
	c := &cutter{feeder: &feeder{ctx: ctx}, src: src, rd: newReading()}
	err := c.open(src, func(c *cutter) error {
		return c.eachItem(func(raw []byte, _ int) error {
			if id := scan.Text(member(raw, "custom_id")); id != "" {
				ids[id] = true
			}
			return nil
		})
	})
	if errors.Is(err, errStopped) {
		err = context.Cause(ctx)
	}
	return ids, err
}
