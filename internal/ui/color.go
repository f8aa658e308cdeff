package ui

// Style is an SGR parameter: how a piece of text is painted.
type Style string

// The few styles that output uses; meaning never rests on colour alone.
const (
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// Paint wraps text in the escape sequence of style when Color is set, and
// returns it as it is otherwise.
func (s *Streams) Paint(style Style, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// colorWanted follows no-color.org: NO_COLOR with any non-empty value wins,
// then a dumb terminal, then whether there is a terminal at all.
func colorWanted(tty bool, getenv func(string) string) bool {
	return tty && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
