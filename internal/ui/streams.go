// Package ui is how commands talk to people and to scripts: the three standard
// streams with what is known about the terminal behind them, JSON lines,
// errors that carry an exit code, progress bars and tables.
//
// Standard output is data, standard error is talk. With JSON set, standard
// output holds JSON lines and nothing else.
package ui

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/term"
)

// Streams are the input and outputs of one command. The zero value is not
// usable; take one from System or Test.
type Streams struct {
	In  io.Reader
	Out io.Writer // data
	Err io.Writer // talk: progress, notes, warnings, errors

	InTTY, OutTTY, ErrTTY bool // whether each end is a terminal
	Color                 bool // whether escape sequences may be written to Err
	Dumb                  bool // TERM=dumb: no escape sequence at all, on any end
	JSON                  bool // standard output is JSON lines
	Quiet                 bool // Infof and progress are silent
	Width                 int  // columns of the terminal, 80 when unknown

	mu     sync.Mutex  // one line at a time, from any goroutine
	hungUp atomic.Bool // nobody need be reading any more
}

const defaultWidth = 80

// System returns the streams of this process. Colour is on when standard error
// is a terminal, TERM is not "dumb" and NO_COLOR is unset or empty.
func System() *Streams {
	s := &Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTTY:  term.IsTerminal(int(os.Stdin.Fd())),
		OutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		Dumb:   os.Getenv("TERM") == "dumb",
		Width:  defaultWidth,
	}
	if w, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil && w > 0 {
		s.Width = w
	}
	s.Color = colorWanted(s.ErrTTY, os.Getenv)
	return s
}

// Test returns streams backed by buffers: no terminal, no colour, 80 columns.
func Test() (s *Streams, out, errOut *bytes.Buffer) {
	out, errOut = new(bytes.Buffer), new(bytes.Buffer)
	return &Streams{In: strings.NewReader(""), Out: out, Err: errOut, Width: defaultWidth}, out, errOut
}

// HangUp tells that the terminal is gone, so that output that cannot be written
// is no failure any more.
func (s *Streams) HangUp() { s.hungUp.Store(true) }

// Printf writes data to standard output. With JSON set it writes nothing:
// there, data leaves through Event.
func (s *Streams) Printf(format string, args ...any) {
	if s.JSON {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.Out, format, args...)
}

// Infof writes talk to standard error, unless Quiet.
func (s *Streams) Infof(format string, args ...any) {
	if s.Quiet {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.Err, format, args...)
}

// Warnf writes a line "qlora: warning: ..." to standard error, Quiet or not.
func (s *Streams) Warnf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.Err, "%s %s\n", s.Paint(Yellow, "qlora: warning:"), fmt.Sprintf(format, args...))
}
