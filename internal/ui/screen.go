package ui

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// Screen shows blocks of text on standard output: on a terminal each in the
// place of the one before, elsewhere one below the other with an empty line
// between. With JSON set it shows nothing.
type Screen struct {
	s             *Streams
	lines         int // of the block shown; 0: none that the next one replaces
	blocks        int
	width, height int // of the terminal, when that block was drawn
}

// NewScreen returns a screen that has shown nothing.
func NewScreen(s *Streams) *Screen { return &Screen{s: s} }

// Show replaces the block. On a terminal, title is set off from text, and what
// does not fit is cut off.
func (c *Screen) Show(title, text string) {
	if c.s.JSON {
		return
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	lines := strings.Split(strings.TrimRight(title+"\n"+text, "\n"), "\n")
	if c.s.OutTTY && !c.s.Dumb {
		fmt.Fprint(c.s.Out, c.redraw(lines))
		return
	}
	if c.blocks > 0 {
		fmt.Fprintln(c.s.Out)
	}
	fmt.Fprintln(c.s.Out, strings.Join(lines, "\n"))
	c.blocks++
}

// Leave makes the next block start below what is on the terminal by then, since
// something else was written.
func (c *Screen) Leave() { c.lines = 0 }

// redraw is the text and the escape sequences that put lines in the place of
// the block shown. A terminal that has changed its size may have wrapped that
// block, and is cleared.
func (c *Screen) redraw(lines []string) string {
	width, height := c.s.outSize()
	var b strings.Builder
	if c.lines > 0 && (width != c.width || height != c.height) {
		b.WriteString("\x1b[H\x1b[2J")
	} else if c.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", c.lines)
	}
	lines = lines[:min(len(lines), max(1, height-1))] // the cursor has the last one
	for i, line := range lines {
		line = prefix(line, width)
		if i == 0 {
			line = c.s.Paint(Bold, line)
		}
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	c.lines, c.width, c.height = len(lines), width, height
	return b.String()
}

const defaultHeight = 24

// outSize is the size of the terminal behind standard output, as it is now.
func (s *Streams) outSize() (width, height int) {
	if f, ok := s.Out.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return s.Width, defaultHeight
}
