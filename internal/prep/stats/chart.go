package stats

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
)

// eighths are the block characters that fill 0 to 8 eighths of a cell.
var eighths = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"}

// writeChart draws bins as horizontal bars in width columns. With ascii, bars
// are of '#'.
func writeChart(w io.Writer, bins []Bin, total int64, width int, ascii bool) {
	var most int64
	var labels, counts []string
	for _, b := range bins {
		most = max(most, b.Samples)
		labels = append(labels, b.label())
		counts = append(counts, fmt.Sprintf("%s %6.2f %%", humanize.Comma(b.Samples), 100*share(b.Samples, total)))
	}
	left, right := longest(labels), longest(counts)
	room := max(8, width-left-right-4)
	for i, b := range bins {
		fmt.Fprintf(w, "%*s  %s  %*s\n", left, labels[i], bar(b.Samples, most, room, ascii), right, counts[i])
	}
}

// bar is a bar of length part/whole of room columns, padded to room. What is
// not nothing is seen.
func bar(part, whole int64, room int, ascii bool) string {
	if whole == 0 || part == 0 {
		return strings.Repeat(" ", room)
	}
	steps := int(float64(part) / float64(whole) * float64(8*room))
	steps = min(max(1, steps), 8*room)
	if ascii {
		n := max(1, (steps+4)/8)
		return strings.Repeat("#", n) + strings.Repeat(" ", room-n)
	}
	full, rest := steps/8, steps%8
	used := full
	if rest > 0 {
		used++
	}
	return strings.Repeat("█", full) + eighths[rest] + strings.Repeat(" ", room-used)
}

// label is "512-639", or "7" for a bin of one length.
func (b Bin) label() string {
	if b.To-b.From == 1 {
		return humanize.Comma(int64(b.From))
	}
	return fmt.Sprintf("%s-%s", humanize.Comma(int64(b.From)), humanize.Comma(int64(b.To-1)))
}

func longest(texts []string) (n int) {
	for _, t := range texts {
		n = max(n, len(t)) // digits, commas and signs: one byte a column
	}
	return n
}

// sizeName is 4096 as "4k".
func sizeName(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%dk", n/1024)
	}
	return fmt.Sprint(n)
}
