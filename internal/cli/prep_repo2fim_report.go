package cli

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/fim"
	"github.com/qlora/qlora/internal/ui"
)

// talk says what became of the files.
func (o *repo2fimOptions) talk(s *ui.Streams, r *fim.Report) {
	for _, l := range r.Repos {
		s.Infof("%s: %s\n", l.Dir, found(l))
	}
	talkTally(s, "files left out", r.Left)
	talkTally(s, "records by language", r.Languages)
	talkTally(s, "records by kind of middle", r.Kinds)
	talkTally(s, "records by level", r.Levels)
	talkTally(s, "files by license", r.Licences)
	talkTally(s, "masked, by rule", r.Redacted)
	o.talkFallbacks(s, r)
	s.Printf("%s: %s from %d of %s, %s\n", o.Out, english.Plural(int(r.Records), "record", ""),
		r.Used, english.Plural(r.Files, "file", ""), humanize.IBytes(uint64(r.OutBytes)))
}

// found says how the files of a repository were found.
func found(l *fim.Listing) string {
	files := english.Plural(l.Files, "file", "")
	switch {
	case l.Commit != "":
		return fmt.Sprintf("%s of commit %.12s", files, l.Commit)
	case l.Note != "":
		return fmt.Sprintf("%s; read %s by walking the folder", l.Note, files)
	default:
		return files + " that git tracks"
	}
}

// talkFallbacks says where a record is not what was asked for.
func (o *repo2fimOptions) talkFallbacks(s *ui.Streams, r *fim.Report) {
	if r.Unparsed.Total() > 0 {
		s.Infof("%s with errors of syntax: lines took the place of nodes (%s)\n", english.Plural(r.Unparsed.Total(), "file", ""), named(r.Unparsed))
	}
	if r.NoGrammar.Total() > 0 {
		s.Infof("%s without a grammar: lines took the place of nodes (%s)\n", english.Plural(r.NoGrammar.Total(), "file", ""), named(r.NoGrammar))
	}
	if r.NoContext > 0 {
		s.Infof("%s found no other file to show and %s alone\n",
			english.Plural(r.NoContext, "record", ""), english.PluralWord(r.NoContext, "shows its own", "show their own"))
	}
	if r.Unshown > 0 {
		s.Infof("%s %s context: %s has no tokens for other files\n",
			english.Plural(r.Unshown, "record", ""), english.PluralWord(r.Unshown, "loses its", "lose their"), o.Family)
	}
	if r.OverBudget > 0 {
		s.Infof("%s left out: no window fits %d tokens\n", english.Plural(r.OverBudget, "record", ""), o.MaxTokens)
	}
	if r.Duplicates > 0 {
		s.Infof("%s of copies left out\n", english.Plural(int(r.Duplicates), "record", ""))
	}
}

// named lists the reasons of a tally.
func named(t prep.Tally) string {
	var parts []string
	for _, name := range t.Reasons() {
		parts = append(parts, fmt.Sprintf("%s %d", name, t[name]))
	}
	return strings.Join(parts, ", ")
}
