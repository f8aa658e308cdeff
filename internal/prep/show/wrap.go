package show

import (
	"strings"

	"github.com/rivo/uniseg"
)

const tabWidth = 4

// clean keeps data from steering the terminal, and spells tabs as spaces.
func clean(line string) string {
	line = strings.ReplaceAll(strings.ToValidUTF8(line, "\ufffd"), "\t", strings.Repeat(" ", tabWidth))
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, line)
}

// wrap cuts a line into pieces of at most width columns, at a space where one
// is in the second half. Width 0 leaves it whole. Characters of two columns
// count as two, and a character with its accents stays together.
func wrap(line string, width int) []string {
	if width <= 0 || uniseg.StringWidth(line) <= width {
		return []string{line}
	}
	var out []string
	for line != "" {
		head := fit(line, width)
		out = append(out, strings.TrimRight(head, " "))
		line = line[len(head):]
	}
	return out
}

// fit is the start of line that fills width columns, up to a space if that
// costs less than half; at least one character.
func fit(line string, width int) string {
	used, end, space := 0, 0, 0
	rest, state := line, -1
	for rest != "" {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > width && end > 0 {
			if space > 0 {
				return line[:space]
			}
			return line[:end]
		}
		used += w
		end += len(cluster)
		if cluster == " " && used > width/2 {
			space = end
		}
	}
	return line
}
