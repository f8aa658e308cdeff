package stats

import (
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
)

//go:embed report.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"comma":   comma[int64],
	"commaN":  comma[int],
	"percent": percent,
	"share":   share,
	"size":    sizeName,
	"bytes":   func(n int64) string { return humanize.IBytes(uint64(n)) },
	"mean":    func(x float64) string { return humanize.CommafWithDigits(x, 1) },
	"width":   func(share float64) string { return fmt.Sprintf("%.2f", 100*share) },
	"total":   Counts.Total,
	"split":   breakable,
}).Parse(pageText))

// pageData is what the template fills in.
type pageData struct {
	*Report
	Style        template.CSS
	Wide, Narrow template.HTML
	Names        []nameTable
}

// nameTable is one table of names with bars.
type nameTable struct {
	Title, Unit string
	Counts      Counts
	All         int64
	Most        int64
}

// WriteHTML writes one page that needs nothing beside itself: no script, no
// font, no picture from elsewhere.
func (r *Report) WriteHTML(w io.Writer) error {
	d := pageData{Report: r, Style: template.CSS(chartStyle), Names: nameTables(r.All)}
	if r.All.Length != nil {
		// drawHistogram writes numbers and fixed text only.
		d.Wide = template.HTML(drawHistogram(r.All.Lengths, r.unit(), Wide, ""))
		d.Narrow = template.HTML(drawHistogram(r.All.Lengths, r.unit(), Narrow, ""))
	}
	return page.Execute(w, d)
}

// pageNames is how many names of a table a page shows.
const pageNames = 20

func nameTables(g Group) []nameTable {
	var out []nameTable
	for _, t := range []nameTable{
		{Title: "Kinds of sample", Unit: "samples", Counts: g.Kinds},
		{Title: "Languages", Unit: "samples", Counts: g.Languages},
		{Title: "Tools called", Unit: "calls", Counts: g.Tools},
		{Title: "Sources", Unit: "samples", Counts: g.Sources},
	} {
		if len(t.Counts.Top) == 0 {
			continue
		}
		t.All, t.Most = t.Counts.Total(), t.Counts.Top[0].N
		if cut := min(pageNames, len(t.Counts.Top)); cut < len(t.Counts.Top) {
			for _, rest := range t.Counts.Top[cut:] {
				t.Counts.Others += rest.N
			}
			t.Counts.Top = t.Counts.Top[:cut]
		}
		out = append(out, t)
	}
	return out
}

// breakable cuts a path where a narrow screen may break the line.
func breakable(path string) []string { return strings.SplitAfter(path, "/") }
