package ui

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

var fitRows = [][]string{
	{"mine", "finished", "10.5", "outputs/mine/adapter-best.gguf"},
	{"a-long-name-of-a-run-with-rank-16", "running", "9.25", "-"},
	{"日本語の長い名前の実行", "failed", "-", "/tmp/a-long-name-of-a-folder-that-ends-it"},
}

func fitted(width int) (lines, leftOut []string) {
	fit := Fit{Width: width, Shorten: []Shorten{{Column: 3, Least: 20, Cuts: []Cut{CutPath}}, {Column: 0, Least: 12, Cuts: []Cut{CutMiddle}}}}
	var b bytes.Buffer
	leftOut = new(Columns).Fit(&b, []string{"run", "state", "speed", "adapter"}, fitRows, fit)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), leftOut
}

func TestFitIsNeverWiderThanTheTerminal(t *testing.T) {
	for width := 1; width < 120; width++ {
		lines, leftOut := fitted(width)
		for _, line := range lines {
			if n := uniseg.StringWidth(line); n > width {
				t.Errorf("%d columns in %d: %s", n, width, line)
			}
		}
		shown := 4 - len(leftOut)
		if !slices.Equal(leftOut, []string{"run", "state", "speed", "adapter"}[shown:]) || len(lines) != 4 {
			t.Errorf("in %d columns: left out %v of\n%s", width, leftOut, strings.Join(lines, "\n"))
		}
	}
}

func TestFitShortensInOrderThenLeavesOut(t *testing.T) {
	for width, want := range map[int]string{
		0:   "a-long-name-of-a-run-with-rank-16  running    9.25  -",
		100: "a-long-name-of-a-run-with-rank-16  running    9.25  -",
		60:  "a-long-nam…th-rank-16  running    9.25  -",
		40:  "a-long-name…ith-rank-16  running    9.25",
	} {
		lines, _ := fitted(width)
		if lines[2] != want {
			t.Errorf("in %d columns got\n%s, want\n%s", width, strings.Join(lines, "\n"), want)
		}
	}
}

func TestFitKeepsNamesApart(t *testing.T) {
	rows := [][]string{{"adapter-run-first-of-many-end"}, {"adapter-run-other-of-many-end"}}
	fit := Fit{Width: 18, Shorten: []Shorten{{Cuts: []Cut{CutMiddle, CutFront}}}}
	var b bytes.Buffer
	new(Columns).Fit(&b, []string{"run"}, rows, fit)
	if want := "run\n…first-of-many-end\n…other-of-many-end\n"; b.String() != want {
		t.Errorf("got %s, want %s", &b, want)
	}
}

func TestCuts(t *testing.T) {
	for _, c := range []struct {
		cut   Cut
		text  string
		width int
		want  string
	}{
		{CutMiddle, "abcdefghij", 5, "ab…ij"}, {CutMiddle, "abcdefghij", 6, "abc…ij"}, {CutMiddle, "abc", 1, "…"},
		{CutMiddle, "日本語日本語", 6, "日…語"}, {CutMiddle, "ae\u0301ie\u0301oe\u0301", 5, "ae\u0301…oe\u0301"},
		{CutFront, "abcdefghij", 4, "…hij"}, {CutFront, "日本語", 4, "…語"},
		{CutPath, "outputs/mine/adapter.gguf", 21, "…/mine/adapter.gguf"}, {CutPath, "outputs/a-long-run/a.gguf", 12, "…-run/a.gguf"},
	} {
		if got := c.cut(c.text, c.width); got != c.want || uniseg.StringWidth(got) > c.width {
			t.Errorf("%s in %d: got %s, want %s", c.text, c.width, got, c.want)
		}
	}
}

func TestFitOutIsForTerminals(t *testing.T) {
	s, _, _ := Test()
	if fit := s.FitOut(Shorten{}); fit.Width != 0 {
		t.Errorf("off a terminal: %+v", fit)
	}
	s.OutTTY, s.Width = true, 60
	if fit := s.FitOut(Shorten{}); fit.Width != 60 || len(fit.Shorten) != 1 {
		t.Errorf("on one: %+v", fit)
	}
}
