package comparison

import (
	_ "embed" // the pages' template
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed report.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"four":     func(x float64) string { return fmt.Sprintf("%.4f", x) },
	"two":      func(x float64) string { return fmt.Sprintf("%.2f", x) },
	"percent":  func(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) },
	"comma":    func(n int) string { return humanize.Comma(int64(n)) },
	"signed":   signed,
	"points":   points,
	"distance": distance,
	"day":      func(t time.Time) string { return t.Format("2006-01-02 15:04 MST") },
	"more":     func(n int) int { return n + 1 },
	"level":    func(x float64) string { return fmt.Sprintf("%g %%", 100*x) },
}).Parse(pageText))

func signed(d *Difference) string { return d.Text("%+.4f", 1) }

// points prints a difference of shares in % points.
func points(d *Difference) string { return d.Text("%+.1f", 100) }

// distance prints what is never below zero.
func distance(d *Difference) string { return d.Text("%.4f", 1) }

// WriteHTML writes one page with the whole comparison. It needs nothing beside
// itself: no script, no font, no picture from elsewhere.
func (r *Report) WriteHTML(w io.Writer) error {
	return page.ExecuteTemplate(w, "page", pageData{r, true})
}

// WriteAnswersHTML writes such a page with the answers alone.
func (r *Report) WriteAnswersHTML(w io.Writer) error {
	return page.ExecuteTemplate(w, "page", pageData{r, false})
}

type pageData struct {
	*Report
	Whole bool
}

// LossPointer is LossDifference as the other differences are kept.
func (v Result) LossPointer() *Difference { return &v.LossDifference }
