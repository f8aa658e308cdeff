package fim

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/qlora/qlora/internal/prep"
)

// Report says what was read, written and left out. With a shard, files are
// those of the shard; Files counts all.
type Report struct {
	Repos      []*Listing     `json:"repos"`
	Files      int            `json:"files"` // listed
	Used       int            `json:"files_used"`
	Bytes      int64          `json:"bytes_used"`
	Records    int64          `json:"records"`
	Duplicates int64          `json:"duplicate_records"` // of copies of a file
	Middle     int64          `json:"middle_bytes"`
	Kinds      prep.Tally     `json:"span_kinds"`
	Levels     prep.Tally     `json:"levels"`
	Languages  prep.Tally     `json:"languages"`      // records
	Licences   prep.Tally     `json:"licenses"`       // files used
	Left       prep.Tally     `json:"left_out"`       // files, by reason
	Redacted   prep.Tally     `json:"redacted"`       // what was masked in the files used, by rule
	Masked     int            `json:"files_redacted"` // files with something masked
	Unparsed   prep.Tally     `json:"files_unparsed"` // by language: lines took the place of syntax
	NoGrammar  prep.Tally     `json:"no_grammar"`     // files by language: the same, for want of a grammar
	NoContext  int            `json:"no_context"`     // records meant for the repository level that found no file to show
	Unshown    int            `json:"context_unshown"`
	OverBudget int            `json:"over_budget"`   // records that no window could fit into the tokens
	Skipped    int            `json:"skipped_files"` // that could not be read
	Problems   []prep.Problem `json:"problems"`
	Format     string         `json:"format"`
	Family     string         `json:"family,omitempty"`
	Seed       uint64         `json:"seed"`
	Out        string         `json:"out"`
	OutBytes   int64          `json:"out_bytes"`
	SHA256     string         `json:"sha256"`
}

func newReport(o Options) *Report {
	return &Report{
		Kinds: prep.Tally{}, Levels: prep.Tally{}, Languages: prep.Tally{}, Licences: prep.Tally{}, Left: prep.Tally{}, Redacted: prep.Tally{},
		Unparsed: prep.Tally{}, NoGrammar: prep.Tally{},
		Format: o.Format, Family: o.Family, Seed: o.Seed, Out: o.Out,
	}
}

// ErrNothing is wrapped by the error of Convert when no file was usable.
var ErrNothing = errors.New("no usable source file found")

const maxProblems = 100

// skip names a file or folder that could not be read.
func (rep *Report) skip(l *Listing, path, why string) {
	rep.Skipped++
	if len(rep.Problems) < maxProblems {
		rep.Problems = append(rep.Problems, prep.Problem{File: l.Repo + "/" + path, Reason: why})
	}
}

// noteLocked counts the folders of l that may not be read; a strict run ends
// with the first.
func (rep *Report) noteLocked(l *Listing, strict bool) error {
	for _, path := range l.locked {
		if strict {
			return fmt.Errorf("read %s/%s: %w", l.Repo, path, fs.ErrPermission)
		}
		rep.skip(l, path, "folder that may not be read")
	}
	return nil
}

// take counts what a file yielded, or why it yielded nothing.
func (rep *Report) take(y *yield) {
	switch {
	case y.err != nil:
		rep.skip(y.repo, y.path, y.err.Error())
		return
	case y.reason != "":
		rep.Left.Add(y.reason, 1)
		return
	}
	rep.Used++
	rep.Bytes += int64(len(y.text))
	rep.Middle += y.middle
	rep.Kinds.Merge(y.kinds)
	rep.Levels.Merge(y.levels)
	rep.Languages.Add(y.lang, len(y.records))
	if y.license != "" {
		rep.Licences.Add(y.license, 1)
	}
	rep.Redacted.Merge(y.masked)
	if len(y.masked) > 0 {
		rep.Masked++
	}
	if y.unparsed {
		rep.Unparsed.Add(y.lang, 1)
	}
	if y.noGrammar {
		rep.NoGrammar.Add(y.lang, 1)
	}
	rep.NoContext += y.noContext
	rep.Unshown += y.unshown
	rep.OverBudget += y.overBudget
}
