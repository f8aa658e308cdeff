package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/ui"
)

// TestManualIsComplete wants a page for every command, with every flag and all
// of its examples, and links that lead to pages.
func TestManualIsComplete(t *testing.T) {
	s, _, _ := ui.Test()
	pages := map[string]*manPage{}
	for _, p := range manual(newRootCmd(s)) {
		if pages[p.name] != nil {
			t.Errorf("two pages %s", p.name)
		}
		pages[p.name] = p
	}
	for _, topic := range topics {
		if pages["qlora-"+topic.name] == nil {
			t.Errorf("no page for the topic %s", topic.name)
		}
	}
	link := regexp.MustCompile(`\]\(([a-z0-9-]+)\.md\)`)
	everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		p := pages[strings.ReplaceAll(cmd.CommandPath(), " ", "-")]
		if p == nil {
			t.Fatal("no page")
		}
		man, markdown := string(p.man(versionInfo{})), p.markdown()
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" && (!strings.Contains(man, `\fB--`+f.Name+`\fP`) || !strings.Contains(markdown, "`--"+f.Name+"`")) {
				t.Errorf("--%s is not on the page", f.Name)
			}
		})
		for _, line := range strings.Split(cmd.Example, "\n") {
			if !strings.Contains(markdown, strings.TrimPrefix(line, "  ")) {
				t.Errorf("the example %q is not on the page", line)
			}
		}
		for _, m := range link.FindAllStringSubmatch(markdown, -1) {
			if pages[m[1]] == nil {
				t.Errorf("a link leads to %s", m[1])
			}
		}
	})
}

func TestManPage(t *testing.T) {
	main := &manPage{name: "qlora", title: "qlora", section: 1}
	p := &manPage{
		name: "qlora-x", title: "qlora x", short: "do x", section: 1, synopsis: "qlora x <file>",
		text:     "First *line*\nwith a_b_c.\n\n  - kept as\n\n  it is\n\n1. no list",
		flags:    []flagEntry{{"o", "out", "file", "where it goes [here]"}},
		examples: "  qlora x 'a' \\\n    b", exit: "  0    done", seeAlso: []*manPage{main},
	}
	man := string(p.man(versionInfo{Version: "v1.2", Date: "2026-01-02T03:04:05+02:00"}))
	for _, want := range []string{
		`.TH QLORA-X 1 "2026-01-02" "qlora v1.2" "qlora manual"`, "qlora-x \\- do x", "First *line*\nwith a_b_c.",
		".EX\n- kept as\n\nit is\n.EE", "\n1\\&. no list", ".TP\n\\fB-o\\fP, \\fB--out\\fP \\fIfile\\fP\nwhere it goes [here]",
		"qlora x 'a' \\\\\n  b", "\\fBqlora\\fP(1)",
	} {
		if !strings.Contains(man, want) {
			t.Errorf("the page lacks %q:\n%s", want, man)
		}
	}
	if undated := string(p.man(versionInfo{})); !strings.Contains(undated, `.TH QLORA-X 1 ""`) {
		t.Errorf("%.80s", undated)
	}
}
