package stats

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize/english"
)

// Picture is the size of a histogram, in units of the viewBox.
type Picture struct {
	Width, Height int
	Bins          int // at most
}

// The two pictures of a page: a wide one, and one whose text can be read on a
// telephone.
var (
	Wide   = Picture{Width: 860, Height: 300, Bins: 40}
	Narrow = Picture{Width: 380, Height: 300, Bins: 16}
)

// margins around the bars.
const (
	marginLeft, marginRight = 52, 12
	marginTop, marginBottom = 32, 44
)

// chartStyle colours a picture, light or dark as the reader prefers.
const chartStyle = `.q-bar{fill:#2f6fab}.q-axis{stroke:#8a8f98}.q-grid{stroke:#8a8f98;stroke-opacity:.25}` +
	`.q-mark{stroke:#b35c00;stroke-dasharray:3 3}.q-text{fill:#40464f;font:12px system-ui,sans-serif}.q-size{fill:#9a4f00}` +
	`@media(prefers-color-scheme:dark){.q-bar{fill:#6aa9e0}.q-text{fill:#c3c8d0}.q-mark{stroke:#e0a050}.q-size{fill:#e8b06a}}`

// WriteSVG draws the histogram of all samples as a document of its own.
func (r *Report) WriteSVG(w io.Writer) error {
	body := drawHistogram(r.All.Lengths, r.unit(), Wide, chartStyle+
		`.q-page{fill:#fff}@media(prefers-color-scheme:dark){.q-page{fill:#16181c}}`)
	_, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+body)
	return err
}

// unit names the horizontal axis.
func (r *Report) unit() string {
	if r.Exact {
		return "tokens of a sample"
	}
	return "tokens of a sample, estimated"
}

// histogram is a drawing in the making.
type histogram struct {
	b    strings.Builder
	p    Picture
	bins []Bin
	top  int64 // samples at the upper end of the axis
}

// drawHistogram is an svg element. With a style it is complete by itself and
// has a background; without, the page around it has the style.
func drawHistogram(l *Lengths, unit string, p Picture, style string) string {
	h := &histogram{p: p, bins: l.Bins(p.Bins)}
	var most int64
	for _, b := range h.bins {
		most = max(most, b.Samples)
	}
	step := niceStep(most)
	h.top = max(step, (most+step-1)/step*step)
	fmt.Fprintf(&h.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Histogram of the lengths of %s">`,
		p.Width, p.Height, english.Plural(int(l.Count()), "sample", ""))
	if style != "" {
		fmt.Fprintf(&h.b, `<style>%s</style><rect class="q-page" width="%d" height="%d"/>`, style, p.Width, p.Height)
	}
	h.grid(step)
	h.bars()
	h.edges()
	h.sizes()
	h.label(float64(p.Width)/2, float64(p.Height-6), "middle", "q-text", unit)
	h.b.WriteString("</svg>\n")
	return h.b.String()
}

// niceStep divides an axis up to most into two to five parts.
func niceStep(most int64) int64 {
	for scale := int64(1); ; scale *= 10 {
		for _, m := range []int64{1, 2, 5} {
			if most <= 5*m*scale {
				return m * scale
			}
		}
	}
}

func (h *histogram) plotWidth() float64  { return float64(h.p.Width - marginLeft - marginRight) }
func (h *histogram) plotHeight() float64 { return float64(h.p.Height - marginTop - marginBottom) }
func (h *histogram) floor() float64      { return float64(h.p.Height - marginBottom) }

func (h *histogram) y(samples int64) float64 {
	return h.floor() - h.plotHeight()*float64(samples)/float64(h.top)
}

// edge is where bin i begins.
func (h *histogram) edge(i int) float64 {
	return marginLeft + h.plotWidth()*float64(i)/float64(len(h.bins))
}

func (h *histogram) label(x, y float64, anchor, class, text string) {
	fmt.Fprintf(&h.b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, text)
}

func (h *histogram) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&h.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (h *histogram) grid(step int64) {
	for n := int64(0); n <= h.top; n += step {
		y := h.y(n)
		class := "q-grid"
		if n == 0 {
			class = "q-axis"
		}
		h.line(class, marginLeft, y, float64(h.p.Width-marginRight), y)
		h.label(marginLeft-6, y+4, "end", "q-text", shortCount(n))
	}
	h.label(4, 12, "start", "q-text", "samples")
}

// shortCount is 12000 as 12k, to fit beside an axis.
func shortCount(n int64) string {
	switch {
	case n >= 1e9 && n%1e8 == 0:
		return fmt.Sprintf("%gG", float64(n)/1e9)
	case n >= 1e6 && n%1e5 == 0:
		return fmt.Sprintf("%gM", float64(n)/1e6)
	case n >= 1e4 && n%1e2 == 0:
		return fmt.Sprintf("%gk", float64(n)/1e3)
	}
	return comma(n)
}

func (h *histogram) bars() {
	for i, b := range h.bins {
		if b.Samples == 0 {
			continue
		}
		x, width := h.edge(i)+0.5, max(1, h.edge(i+1)-h.edge(i)-1)
		height := max(1, h.floor()-h.y(b.Samples)) // what is not nothing is seen
		fmt.Fprintf(&h.b, `<rect class="q-bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s tokens: %s</title></rect>`,
			x, h.floor()-height, width, height, b.label(), english.Plural(int(b.Samples), "sample", ""))
	}
}

// edges writes the bins' edges under the axis, as many as there is room for.
func (h *histogram) edges() {
	const each = 56 // units that a label takes
	every := max(1, (len(h.bins)*each+int(h.plotWidth())-1)/int(h.plotWidth()))
	for i := 0; i <= len(h.bins); i += every {
		n := h.bins[len(h.bins)-1].To
		if i < len(h.bins) {
			n = h.bins[i].From
		}
		anchor := "middle"
		if i == len(h.bins) {
			anchor = "end"
		}
		h.line("q-axis", h.edge(i), h.floor(), h.edge(i), h.floor()+4)
		h.label(h.edge(i), h.floor()+18, anchor, "q-text", comma(n))
	}
}

// sizes marks the context sizes that lie within the lengths.
func (h *histogram) sizes() {
	last := -100.0
	for _, size := range ContextSizes {
		for i, b := range h.bins {
			if size < b.From || size >= b.To || i == 0 && size == b.From {
				continue
			}
			x := h.edge(i) + (h.edge(i+1)-h.edge(i))*float64(size-b.From)/float64(b.To-b.From)
			h.line("q-mark", x, marginTop, x, h.floor())
			if x-last > 26 {
				h.label(x, marginTop-6, "middle", "q-text q-size", sizeName(size))
				last = x
			}
		}
	}
}
