package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

// Table writes rows under header with columns aligned by spaces. A column
// whose cells are all numbers is set flush right.
func Table(w io.Writer, header []string, rows [][]string) { new(Columns).Table(w, header, rows) }

// Columns remember how wide they have been, so that tables printed one after
// the other are aligned with each other. The zero value is ready.
type Columns struct{ widths []int }

// Table is the function Table with columns that never get narrower.
func (c *Columns) Table(w io.Writer, header []string, rows [][]string) {
	c.Fit(w, header, rows, Fit{})
}

// Fit is Table within the bounds of fit; it returns the columns left out.
func (c *Columns) Fit(w io.Writer, header []string, rows [][]string, fit Fit) (leftOut []string) {
	rows = visibleRows(rows)
	widths := columnWidths(header, rows)
	for i := range min(len(widths), len(c.widths)) {
		widths[i] = max(widths[i], c.widths[i])
	}
	c.widths = widths
	widths = fit.widths(widths)
	right := numericColumns(len(header), rows)
	lines := make([][]string, len(rows)+1)
	for column, width := range widths {
		for i, cell := range fit.cut(column, columnOf(column, header, rows), width) {
			lines[i] = append(lines[i], pad(cell, width, right[column]))
		}
	}
	for _, cells := range lines {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, columnGap), " "))
	}
	return header[min(len(header), len(widths)):]
}

const columnGap = "  "

// columnOf is a column with its header; of a row that is too short the cell is
// empty.
func columnOf(column int, header []string, rows [][]string) []string {
	var cells []string
	for _, row := range append([][]string{header}, rows...) {
		cell := ""
		if column < len(row) {
			cell = row[column]
		}
		cells = append(cells, cell)
	}
	return cells
}

// MarkdownTable writes the same table in the pipe form of GitHub Markdown.
func MarkdownTable(w io.Writer, header []string, rows [][]string) {
	right := numericColumns(len(header), rows)
	rule := make([]string, len(header))
	for i := range rule {
		rule[i] = "---"
		if right[i] {
			rule[i] = "---:"
		}
	}
	for _, row := range append([][]string{header, rule}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = markdownEscape.Replace(cell)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

var markdownEscape = strings.NewReplacer("|", `\|`, "\n", "<br>")

// columnWidths is at least as long as the longest row, so that a ragged table
// prints rather than panics.
func columnWidths(header []string, rows [][]string) []int {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	return widths
}

func numericColumns(n int, rows [][]string) []bool {
	for _, row := range rows {
		n = max(n, len(row))
	}
	numeric := make([]bool, n)
	for i := range numeric {
		numeric[i] = len(rows) > 0
		for _, row := range rows {
			if i < len(row) && !looksNumeric(row[i]) {
				numeric[i] = false
			}
		}
	}
	return numeric
}

// looksNumeric accepts a number with an optional unit or percent sign, and
// the dash that stands for "no value".
func looksNumeric(cell string) bool {
	if cell == "" || cell == "-" {
		return true
	}
	c := strings.TrimLeft(cell, "+-")
	return c != "" && c[0] >= '0' && c[0] <= '9' && !strings.ContainsAny(c, "/_:")
}

func pad(cell string, width int, right bool) string {
	gap := strings.Repeat(" ", max(0, width-uniseg.StringWidth(cell)))
	if right {
		return gap + cell
	}
	return cell + gap
}
