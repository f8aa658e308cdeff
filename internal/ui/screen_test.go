package ui

import (
	"strings"
	"testing"
)

func TestScreenOffATerminal(t *testing.T) {
	s, out, _ := Test()
	c := NewScreen(s)
	c.Show("first", "a\nb\n")
	c.Show("second", "c\n")
	if want := "first\na\nb\n\nsecond\nc\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
	s.JSON = true
	out.Reset()
	if c.Show("third", "d\n"); out.Len() != 0 {
		t.Errorf("JSON: %q", out)
	}
}

func TestScreenInPlace(t *testing.T) {
	s, out, _ := Test()
	s.OutTTY, s.Width = true, 6
	c := NewScreen(s)
	c.Show("first", "a\nb\n")
	if want := "first\x1b[K\na\x1b[K\nb\x1b[K\n\x1b[J"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out.Reset()
	c.Show("second", "wider than it\n")
	if want := "\x1b[3A\rsecond\x1b[K\nwider \x1b[K\n\x1b[J"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out.Reset()
	s.Color, s.Width = true, 10
	c.Show("third", "")
	if want := "\x1b[H\x1b[2J\x1b[1mthird\x1b[0m\x1b[K\n\x1b[J"; out.String() != want {
		t.Errorf("after a change of size and with colour: got %q, want %q", out, want)
	}
	out.Reset()
	c.Leave()
	c.Show("fourth", strings.Repeat("x\n", 100))
	if text := out.String(); strings.Contains(text, "A\r") || strings.Count(text, "\n") != defaultHeight-1 {
		t.Errorf("a block below another, too high for the terminal: %q", text)
	}
}

func TestScreenOnADumbTerminal(t *testing.T) {
	s, out, _ := Test()
	s.OutTTY, s.Dumb = true, true
	c := NewScreen(s)
	c.Show("first", "a\n")
	c.Show("second", "b\n")
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("escape sequences: %q", out)
	}
}

func TestColumnsRemember(t *testing.T) {
	s, out, _ := Test()
	var c Columns
	c.Table(s.Out, []string{"gpu", "load"}, [][]string{{"first", "100 %"}})
	c.Table(s.Out, []string{"gpu", "load"}, [][]string{{"b", "7 %"}})
	if want := "gpu     load\nfirst  100 %\ngpu     load\nb        7 %\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
}
