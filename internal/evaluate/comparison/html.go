package comparison

import (
	_ "embed" // the pages' template
	"fmt"
	"html/template"
	"io"

	"github.com/dustin/go-humanize"
)

//go:embed report.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"four":    func(x float64) string { return fmt.Sprintf("%.4f", x) },
	"two":     func(x float64) string { return fmt.Sprintf("%.2f", x) },
	"percent": func(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) },
	"comma":   func(n int) string { return humanize.Comma(int64(n)) },
	"signed":  signed,
	"points":  points,
	"level":   func(x float64) string { return fmt.Sprintf("%g %%", 100*x) },
}).Parse(pageText))

func signed(d *Difference) string {
	if d == nil {
		return "-"
	}
	text := fmt.Sprintf("%+.4f", d.Mean)
	if d.Interval != nil {
		text += fmt.Sprintf(" (%+.4f to %+.4f)", d.Interval.Low, d.Interval.High)
	}
	return text
}

// points prints a difference of shares in % points.
func points(d *Difference) string {
	if d == nil {
		return "-"
	}
	text := fmt.Sprintf("%+.1f", 100*d.Mean)
	if d.Interval != nil {
		text += fmt.Sprintf(" (%+.1f to %+.1f)", 100*d.Interval.Low, 100*d.Interval.High)
	}
	return text
}

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
