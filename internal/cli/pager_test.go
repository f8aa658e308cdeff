package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

func TestPagerCommand(t *testing.T) {
	for _, c := range []struct {
		pager string
		set   bool
		less  bool
		want  string
	}{
		{"", false, true, "less -R"},
		{"", false, false, ""},
		{"", true, true, ""},
		{"cat", true, true, ""},
		{" more -s ", true, true, "more -s"},
	} {
		getenv := func(string) (string, bool) { return c.pager, c.set }
		look := func(string) (string, error) {
			if c.less {
				return "/usr/bin/less", nil
			}
			return "", errors.New("not there")
		}
		if got := pagerCommand(getenv, look); got != c.want {
			t.Errorf("PAGER=%q (set: %t), less there: %t: %q, want %q", c.pager, c.set, c.less, got, c.want)
		}
	}
}

// TestPage writes much to pagers that read all, a little or nothing.
func TestPage(t *testing.T) {
	for _, c := range []struct {
		pager string
		want  string // of the output; "" for anything
		code  int
	}{
		{"tail -n 1", "the end\n", ui.ExitOK},
		{"head -n 1", "line\n", ui.ExitOK},
		{"head -n 1 | tr a-z A-Z", "LINE\n", ui.ExitOK},
		{"true", "", ui.ExitOK},
		{"false", "", ui.ExitOK},
		{"no-such-pager-here", "", ui.ExitFailure},
		{"no-such-pager-here | cat", "", ui.ExitOK}, // the shell's own business
		{"cat", "", ui.ExitOK},
	} {
		t.Setenv("PAGER", c.pager)
		s, out, _ := ui.Test()
		s.OutTTY = true
		err := page(context.Background(), s, writeMuch)
		if code := exitCode(err); code != c.code {
			t.Errorf("%s: exit %d (%v), want %d", c.pager, code, err, c.code)
		}
		if c.want != "" && out.String() != c.want {
			t.Errorf("%s: wrote %.40q, want %q", c.pager, out.String(), c.want)
		}
	}
}

func writeMuch(w io.Writer) error {
	for range 100000 {
		if _, err := io.WriteString(w, "line\n"); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "the end\n")
	return err
}

// TestPageLeavesPipesAlone: what is no terminal gets the bytes themselves.
func TestPageLeavesPipesAlone(t *testing.T) {
	t.Setenv("PAGER", "false")
	for _, s := range []*ui.Streams{{}, {OutTTY: true, Dumb: true}, {OutTTY: true, JSON: true}} {
		var out bytes.Buffer
		s.Out = &out
		if err := page(context.Background(), s, writeMuch); err != nil || !strings.HasSuffix(out.String(), "the end\n") {
			t.Errorf("%+v: %v, %d bytes", s, err, out.Len())
		}
	}
}

func TestPageEndsWithTheContext(t *testing.T) {
	t.Setenv("PAGER", "sleep 60")
	s, _, _ := ui.Test()
	s.OutTTY = true
	ctx, cancel := context.WithCancel(context.Background())
	err := page(ctx, s, func(io.Writer) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want cancelled", err)
	}
}
