package comparison

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"
)

// plotWidth is the width of pictures in units of their viewBox. They are
// narrow enough for a telephone to show their text.
const (
	plotWidth = 420
	rowHeight = 34
	plotLeft  = 14
	plotRight = 14
)

// axis maps values onto the width of a picture from left on.
type axis struct{ low, high, left float64 }

// newAxis holds zero and all values, with some air.
func newAxis(values ...float64) axis {
	a := axis{min(0, slices.Min(values)), max(0, slices.Max(values)), plotLeft}
	if a.low == a.high {
		a.high = a.low + 1
	}
	air := (a.high - a.low) * 0.06
	if a.low < 0 {
		a.low -= air
	}
	a.high += air
	return a
}

func (a axis) x(v float64) float64 {
	return a.left + (plotWidth-a.left-plotRight)*(v-a.low)/(a.high-a.low)
}

// step is the round distance of at most five ticks along the axis.
func (a axis) step() float64 {
	step := math.Pow(10, math.Floor(math.Log10((a.high-a.low)/4)))
	for _, m := range []float64{1, 2, 5} {
		if (a.high-a.low)/(m*step) <= 5 {
			return m * step
		}
	}
	return 10 * step
}

// ticks are round values along the axis.
func (a axis) ticks() []float64 {
	step := a.step()
	var out []float64
	for i := math.Ceil(a.low / step); i*step <= a.high; i++ {
		out = append(out, i*step)
	}
	return out
}

// drawing is an svg element in the making. Names are escaped.
type drawing struct{ b strings.Builder }

func newDrawing(height int, label string) *drawing {
	d := &drawing{}
	fmt.Fprintf(&d.b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, height, template.HTMLEscapeString(label))
	return d
}

func (d *drawing) text(x, y float64, anchor, class, text string) {
	fmt.Fprintf(&d.b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, template.HTMLEscapeString(text))
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&d.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (d *drawing) scale(a axis, height int) {
	floor := float64(height - 22)
	for _, v := range a.ticks() {
		class := "grid"
		if math.Abs(v) < 1e-12 {
			class, v = "zero", 0
		}
		d.line(class, a.x(v), 4, a.x(v), floor)
		d.text(a.x(v), floor+16, "middle", "soft", fmt.Sprintf("%.4g", v))
	}
}

func (d *drawing) html() template.HTML {
	d.b.WriteString("</svg>")
	return template.HTML(d.b.String())
}

// LossPlot shows the difference of the loss with its interval, a row a variant.
func (r *Report) LossPlot() template.HTML {
	return r.intervals("Difference of the loss from the base's, nats per token", func(v Result) *Difference { return &v.LossDifference })
}

// KLPlot shows how far each variant is from the base on general text.
func (r *Report) KLPlot() template.HTML {
	return r.intervals("KL divergence from the base on general text, nats per token", func(v Result) *Difference { return v.KL })
}

func (r *Report) intervals(label string, of func(Result) *Difference) template.HTML {
	var values []float64
	for _, v := range r.Variants {
		if d := of(v); d != nil {
			values = append(values, d.Mean)
			if d.Interval != nil {
				values = append(values, d.Interval.Low, d.Interval.High)
			}
		}
	}
	if len(values) == 0 {
		return ""
	}
	a := newAxis(values...)
	height := rowHeight*len(r.Variants) + 30
	d := newDrawing(height, label)
	d.scale(a, height)
	for i, v := range r.Variants {
		y := float64(i*rowHeight) + 26
		d.text(plotLeft+5, y-9, "start", "name", shortName(v.Name))
		difference := of(v)
		if in := difference.Interval; in != nil {
			d.line("interval", a.x(in.Low), y, a.x(in.High), y)
		}
		fmt.Fprintf(&d.b, `<circle class="dot" cx="%.1f" cy="%.1f" r="4.5"><title>%.4f</title></circle>`, a.x(difference.Mean), y, difference.Mean)
	}
	return d.html()
}

// histogram counts values in bins of equal width, one edge of which is zero.
type histogram struct {
	width  float64
	counts map[int]int // by what times width is the bin's lower edge
}

// binsPerTick makes 12 to 25 bins of most histograms.
const binsPerTick = 5

func newHistogram(values []float64) histogram {
	h := histogram{newAxis(values...).step() / binsPerTick, map[int]int{}}
	for _, v := range values {
		h.counts[int(math.Floor(v/h.width))]++
	}
	return h
}

// axis holds all bins.
func (h histogram) axis() axis {
	var edges []float64
	for bin := range h.counts {
		edges = append(edges, float64(bin)*h.width, float64(bin+1)*h.width)
	}
	a := newAxis(edges...)
	a.left = 40 // room for counts
	return a
}

// SamplePlot is the histogram of a variant's differences, sample by sample.
func (v Result) SamplePlot() template.HTML {
	if len(v.sampleDifferences) < 2 {
		return ""
	}
	const height, top, floor = 150, 20, 150 - 22
	h := newHistogram(v.sampleDifferences)
	a, most := h.axis(), slices.Max(slices.Collect(maps.Values(h.counts)))
	d := newDrawing(height, "Histogram of the differences of "+v.Name+" from the base, sample by sample")
	d.scale(a, height)
	d.text(4, 10, "start", "soft", "samples")
	y := func(n float64) float64 { return floor - (floor-top)*n/float64(most) }
	for _, n := range (axis{high: float64(most)}).ticks() {
		if n == math.Trunc(n) {
			d.line("grid", a.left, y(n), plotWidth-plotRight, y(n))
			d.text(a.left-6, y(n)+4, "end", "soft", fmt.Sprint(int(n)))
		}
	}
	for _, bin := range slices.Sorted(maps.Keys(h.counts)) {
		low, n := float64(bin)*h.width, h.counts[bin]
		fmt.Fprintf(&d.b, `<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%d of %s from %.4g to %.4g</title></rect>`,
			a.x(low)+0.5, y(float64(n)), a.x(low+h.width)-a.x(low)-1, floor-y(float64(n)), n, english.Plural(v.Samples, "sample", ""), low, low+h.width)
	}
	return d.html()
}

// LanguagePlot shows the share of gaps filled exactly, a group of bars a
// language, the base's first.
func (r *Report) LanguagePlot() template.HTML {
	if r.Base.FIM == nil {
		return ""
	}
	all := []Figures{r.Base}
	for _, v := range r.Variants {
		all = append(all, v.Figures)
	}
	const barHeight = 15
	group := 20 + barHeight*len(all) + 8
	height := group*len(r.Base.FIM.Languages) + 26
	d := newDrawing(height, "Gaps filled exactly, by language")
	a := axis{0, 1.4, plotLeft} // room for a label beside a whole bar
	floor := float64(height - 22)
	for _, v := range []float64{0, 0.25, 0.5, 0.75, 1} {
		d.line("grid", a.x(v), 4, a.x(v), floor)
		d.text(a.x(v), floor+16, "middle", "soft", fmt.Sprintf("%.0f %%", 100*v))
	}
	for i, l := range r.Base.FIM.Languages {
		y := float64(i*group) + 15
		d.text(plotLeft, y, "start", "name", shortName(l.Name)+", "+english.Plural(l.Gaps, "gap", ""))
		for j, f := range all {
			d.languageBar(a, y+5+float64(j*barHeight), barHeight-3, f, f.FIM.Languages[i], j)
		}
	}
	return d.html()
}

func (d *drawing) languageBar(a axis, y, height float64, f Figures, l Language, j int) {
	class := "bar"
	if j == 0 {
		class = "bar base"
	}
	width := max(1, a.x(l.ExactMatch)-a.x(0))
	text := fmt.Sprintf("%s: %.1f %%", shortLabel(f.Name), 100*l.ExactMatch)
	fmt.Fprintf(&d.b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
		class, a.x(0), y, width, height, template.HTMLEscapeString(text))
	d.text(a.x(l.ExactMatch)+5, y+height-2, "start", "small", text)
}

// shortLabel is a name beside a bar.
func shortLabel(name string) string {
	if r := []rune(name); len(r) > 14 {
		return string(r[:12]) + "..."
	}
	return name
}

// shortName keeps a long name inside a picture.
func shortName(name string) string {
	if r := []rune(name); len(r) > 44 {
		return string(r[:21]) + "..." + string(r[len(r)-20:])
	}
	return name
}
