package ui

import (
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// Fit makes a table no wider than Width: it shortens cells of the columns named,
// each as far as Least before the next one, and then leaves out columns from the
// right. The zero value leaves a table as it is.
type Fit struct {
	Width   int
	Shorten []Shorten
}

// Shorten is a column whose cells may be cut, by the first of Cuts after which
// they are as different as before.
type Shorten struct {
	Column, Least int
	Cuts          []Cut
}

// Cut makes text that is wider than width as wide.
type Cut func(text string, width int) string

// FitOut fits tables to the terminal behind standard output. Elsewhere they are
// left as they are.
func (s *Streams) FitOut(columns ...Shorten) Fit {
	if !s.OutTTY {
		return Fit{}
	}
	width, _ := s.outSize()
	return Fit{Width: width, Shorten: columns}
}

// widths are those of the columns that stay.
func (f Fit) widths(natural []int) []int {
	for n := len(natural); f.Width > 0 && n > 0; n-- {
		widths := slices.Clone(natural[:n])
		if f.narrow(widths) {
			return widths
		}
		if n == 1 {
			return []int{f.Width}
		}
	}
	return natural
}

// narrow is true when widths fit now.
func (f Fit) narrow(widths []int) bool {
	excess := len(columnGap)*(len(widths)-1) - f.Width
	for _, w := range widths {
		excess += w
	}
	for _, s := range f.Shorten {
		if s.Column < len(widths) && excess > 0 {
			less := min(excess, max(0, widths[s.Column]-s.Least))
			widths[s.Column] -= less
			excess -= less
		}
	}
	return excess <= 0
}

// cut makes the cells of a column fit into width.
func (f Fit) cut(column int, cells []string, width int) []string {
	cuts := []Cut{CutMiddle}
	for _, s := range f.Shorten {
		if s.Column == column {
			cuts = s.Cuts
		}
	}
	for _, cut := range cuts {
		if out := cutAll(cells, width, cut); kinds(out) == kinds(cells) {
			return out
		}
	}
	return cutAll(cells, width, cuts[0])
}

func cutAll(cells []string, width int, cut Cut) []string {
	out := slices.Clone(cells)
	for i, cell := range cells {
		if uniseg.StringWidth(cell) > width {
			out[i] = cut(cell, width)
		}
	}
	return out
}

// kinds counts the cells that differ.
func kinds(cells []string) int {
	return len(slices.Compact(slices.Sorted(slices.Values(cells))))
}

const ellipsis = "…"

// CutMiddle keeps the beginning and the end of text, in width columns.
func CutMiddle(text string, width int) string {
	room := max(0, width-1)
	return prefix(text, room-room/2) + ellipsis + suffix(text, room/2)
}

// CutFront keeps the end.
func CutFront(text string, width int) string {
	return ellipsis + suffix(text, max(0, width-1))
}

// CutPath keeps the end of a path, from the beginning of a name where that costs
// little.
func CutPath(path string, width int) string {
	end := suffix(path, max(0, width-1))
	if i := strings.IndexByte(end, '/'); i >= 0 && i < len(end)/4 {
		end = end[i:]
	}
	return ellipsis + end
}

// prefix is as much of the beginning of text as fits into width.
func prefix(text string, width int) string {
	taken := 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		if taken += g.Width(); taken > width {
			from, _ := g.Positions()
			return text[:from]
		}
	}
	return text
}

// suffix is as much of the end of text as fits into width.
func suffix(text string, width int) string {
	left := uniseg.StringWidth(text)
	for g := uniseg.NewGraphemes(text); left > width && g.Next(); {
		left -= g.Width()
		if left <= width {
			_, to := g.Positions()
			return text[to:]
		}
	}
	return text
}
