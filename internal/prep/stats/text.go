package stats

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/ui"
)

// TextOptions is what the terminal can show.
type TextOptions struct {
	Width int  // columns
	ASCII bool // nothing but ASCII
	// Brief leaves out what a command that just wrote the file has said: the
	// table of files and the skipped lines.
	Brief bool
	// LengthsOnly leaves out what samples are made of and what contexts hold.
	LengthsOnly bool
}

// WriteText prints the report for people.
func (r *Report) WriteText(w io.Writer, o TextOptions) error {
	var b strings.Builder
	t := textWriter{b: &b, o: o}
	if !o.Brief {
		t.files(r)
	}
	t.totals(r)
	if g := r.All; g.Length != nil {
		t.lengths(g)
		if !o.LengthsOnly {
			t.fits(g.Fits)
			t.names(r)
		}
	}
	t.longest(r.Longest)
	t.notes(r)
	_, err := io.WriteString(w, b.String())
	return err
}

type textWriter struct {
	b *strings.Builder
	o TextOptions
}

func comma[T int | int64](n T) string { return humanize.Comma(int64(n)) }

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// files is a table with a row for each file, where there are several.
func (t *textWriter) files(r *Report) {
	if len(r.Files) < 2 {
		return
	}
	var rows [][]string
	for _, g := range r.Files {
		median, most := "-", "-"
		if g.Length != nil {
			median, most = comma(g.Length.P50), comma(g.Length.Max)
		}
		rows = append(rows, []string{shorten(g.Path, max(20, t.o.Width-58)), comma(g.Samples), comma(g.Tokens),
			percent(share(g.Trained, g.Tokens)), median, most, comma(g.Skipped)})
	}
	ui.Table(t.b, []string{"file", "samples", "tokens", "trained", "median", "max", "skipped"}, rows)
	t.b.WriteByte('\n')
}

// shorten keeps the end of a path, which tells files apart.
func shorten(path string, width int) string {
	if n := utf8.RuneCountInString(path); n > width {
		return "..." + string([]rune(path)[n-width+3:])
	}
	return path
}

func (t *textWriter) totals(r *Report) {
	g := r.All
	approx := ""
	if !r.Exact {
		approx = "about "
	}
	fmt.Fprintf(t.b, "samples     %s in %s\n", comma(g.Samples), humanize.IBytes(uint64(g.Bytes)))
	t.list("kinds", countParts(g.Kinds))
	fmt.Fprintf(t.b, "tokens      %s%s: %s trained (%s), %s context\n",
		approx, comma(g.Tokens), comma(g.Trained), percent(share(g.Trained, g.Tokens)), comma(g.Context))
	fmt.Fprintf(t.b, "counted as  %s\n", r.Basis)
	if r.Model != "" {
		fmt.Fprintf(t.b, "model       %s\n", r.Model)
	}
	fmt.Fprintf(t.b, "duplicates  %s (%s)\n", comma(r.Duplicates), percent(share(r.Duplicates, g.Samples)))
}

// briefBins is the most bins at the end of another command.
const briefBins = 12

func (t *textWriter) lengths(g Group) {
	l := g.Length
	fmt.Fprintf(t.b, "\nlength in tokens: mean %.1f, from %s to %s\n", l.Mean, comma(l.Min), comma(l.Max))
	ui.Table(t.b, []string{"percentile", "5", "25", "50", "75", "90", "95", "99"},
		[][]string{{"tokens", comma(l.P5), comma(l.P25), comma(l.P50), comma(l.P75), comma(l.P90), comma(l.P95), comma(l.P99)}})
	t.b.WriteByte('\n')
	bins := g.Histogram
	if t.o.Brief && !t.o.LengthsOnly {
		bins = g.Lengths.Bins(briefBins)
	}
	writeChart(t.b, bins, g.Samples, t.o.Width, t.o.ASCII)
}

func (t *textWriter) fits(all []Fit) {
	header := []string{"context of"}
	samples, tokens := []string{"samples that fit"}, []string{"tokens kept"}
	for _, f := range all {
		header = append(header, sizeName(f.Size))
		samples = append(samples, percent(f.Share))
		tokens = append(tokens, percent(f.Tokens))
	}
	t.b.WriteByte('\n')
	ui.Table(t.b, header, [][]string{samples, tokens})
}

// names lists what the samples are made of, a line each.
func (t *textWriter) names(r *Report) {
	g := r.All
	t.b.WriteByte('\n')
	var roles []string
	for _, s := range g.Roles {
		roles = append(roles, fmt.Sprintf("%s %s (%s)", s.Role, comma(s.Messages), english.Plural(int(s.Characters), "character", "")))
	}
	t.list("roles", roles)
	t.list("languages", countParts(g.Languages))
	t.list("tools", countParts(g.Tools))
	t.list("sources", countParts(g.Sources))
}

// listedInText is how many names of a kind a terminal shows.
const listedInText = 10

func countParts(c Counts) []string {
	var parts []string
	rest := c.Total()
	for _, n := range c.Top[:min(listedInText, len(c.Top))] {
		parts = append(parts, n.Name+" "+comma(n.N))
		rest -= n.N
	}
	if more := c.Distinct - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("and %s more %s", comma(more), comma(rest)))
	}
	return parts
}

// list writes parts after a heading, wrapped at the width.
func (t *textWriter) list(heading string, parts []string) {
	const indent = 12
	if len(parts) == 0 {
		return
	}
	line := fmt.Sprintf("%-*s", indent, heading)
	for i, p := range parts {
		p = visible(p)
		if i+1 < len(parts) {
			p += ","
		}
		if used := utf8.RuneCountInString(line); i > 0 && used+1+utf8.RuneCountInString(p) > t.o.Width {
			fmt.Fprintln(t.b, strings.TrimRight(line, " "))
			line = strings.Repeat(" ", indent)
		}
		if !strings.HasSuffix(line, " ") {
			line += " "
		}
		line += p
	}
	fmt.Fprintln(t.b, line)
}

// visible keeps names that come from data from steering the terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, text)
}

func (t *textWriter) longest(places []Place) {
	if len(places) == 0 || t.o.Brief {
		return
	}
	t.b.WriteString("\nlongest\n")
	for _, p := range places[:min(5, len(places))] {
		fmt.Fprintf(t.b, "  %10s  %s:%d (%s)\n", comma(p.Tokens), visible(p.File), p.Line, p.Kind)
	}
}

// notes say what training would do differently from what one may expect.
func (t *textWriter) notes(r *Report) {
	g := r.All
	for _, n := range []struct {
		count     int64
		one, many string
	}{
		{g.Untrained, "sample has no token to train on; training leaves it out", "samples have no token to train on; training leaves them out"},
		{g.OpenTurns, "assistant turn ends without an end token: the model will not learn to stop",
			"assistant turns end without an end token: the model will not learn to stop"},
		{g.LostCalls, "assistant turn has tool calls that the chat template leaves out", "assistant turns have tool calls that the chat template leaves out"},
	} {
		if n.count > 0 {
			fmt.Fprintf(t.b, "note: %s %s\n", comma(n.count), english.PluralWord(int(n.count), n.one, n.many))
		}
	}
	if t.o.Brief || r.Skipped == 0 {
		return
	}
	fmt.Fprintf(t.b, "\nskipped lines: %s\n", comma(r.Skipped))
	for _, reason := range r.Reasons.Reasons() {
		fmt.Fprintf(t.b, "  %7s  %s\n", comma(r.Reasons[reason]), visible(reason))
	}
}
