package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manPage is one page of the manual. Texts are as help prints them: paragraphs, and
// lines indented by two spaces or more that keep their shape.
type manPage struct {
	name, title, short string // qlora-prep-split, qlora prep split
	section            int
	synopsis, text     string
	flags              []flagEntry
	examples, exit     string
	seeAlso            []*manPage
}

// flagEntry is a flag as a page lists it.
type flagEntry struct{ short, long, value, usage string }

// manual is a page for each command and each topic, in the order of help.
func manual(root *cobra.Command) []*manPage {
	main := commandPage(root)
	pages := []*manPage{main}
	var topicPages []*manPage
	for _, t := range topics {
		p := &manPage{name: "qlora-" + t.name, title: "qlora " + t.name, short: t.short, section: t.section, text: t.text()}
		p.seeAlso = []*manPage{main}
		topicPages = append(topicPages, p)
	}
	pages = append(pages, below(root, main)...)
	main.seeAlso = append(main.seeAlso, topicPages...)
	return append(pages, topicPages...)
}

func below(cmd *cobra.Command, above *manPage) []*manPage {
	var pages []*manPage
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() && sub.Name() != "help" {
			continue
		}
		p := commandPage(sub)
		p.seeAlso = append(p.seeAlso, above)
		above.seeAlso = append(above.seeAlso, p)
		pages = append(append(pages, p), below(sub, p)...)
	}
	return pages
}

func commandPage(cmd *cobra.Command) *manPage {
	text, exit, _ := strings.Cut(longOrShort(cmd), exitHeading)
	p := &manPage{
		name: strings.ReplaceAll(cmd.CommandPath(), " ", "-"), title: cmd.CommandPath(), short: cmd.Short, section: 1,
		synopsis: cmd.UseLine(), text: strings.TrimSpace(text), exit: strings.Trim(exit, "\n"), examples: cmd.Example,
	}
	flags := cmd.LocalFlags()
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			p.flags = append(p.flags, describeFlag(f))
		}
	})
	if cmd.HasParent() {
		p.text += "\n\nThe options of qlora(1), such as --json, work here too."
	}
	return p
}

func describeFlag(f *pflag.Flag) flagEntry {
	value, usage := pflag.UnquoteUsage(f)
	if !slices.Contains([]string{"", "0", "false", "[]", "<nil>"}, f.DefValue) {
		usage += fmt.Sprintf(" (default %s)", strings.Trim(f.DefValue, "[]"))
	}
	return flagEntry{short: f.Shorthand, long: f.Name, value: value, usage: usage}
}

// man is the page in roff. The date is that of the commit, so that the same
// source gives the same bytes.
func (p *manPage) man(v versionInfo) []byte {
	var b strings.Builder
	date := ""
	if at, err := time.Parse(time.RFC3339, v.Date); err == nil {
		date = at.UTC().Format("2006-01-02")
	}
	fmt.Fprintf(&b, "%% %s %d %q %q %q\n\n", strings.ToUpper(p.name), p.section, date, "qlora "+v.Version, "qlora manual")
	fmt.Fprintf(&b, "# NAME\n\n%s - %s\n\n", escape(p.name), escape(p.short))
	p.body(&b, "#", strings.ToUpper, func(f flagEntry) string {
		return fmt.Sprintf("%s\n:   %s\n\n", f.names("**%s**", "*%s*"), escape(f.usage))
	})
	var names []string
	for _, other := range p.seeAlso {
		names = append(names, fmt.Sprintf("**%s**(%d)", escape(other.name), other.section))
	}
	fmt.Fprintf(&b, "# SEE ALSO\n\n%s\n", strings.Join(names, ", "))
	return md2man.Render([]byte(b.String()))
}

// markdown is the page as GitHub shows it.
func (p *manPage) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s.\n\n", escape(p.title), escape(p.short))
	p.body(&b, "##", func(heading string) string { return heading }, func(f flagEntry) string {
		return fmt.Sprintf("- %s: %s\n", f.names("`%s`", "*%s*"), escape(f.usage))
	})
	var names []string
	for _, other := range p.seeAlso {
		names = append(names, fmt.Sprintf("[%s](%s.md)", escape(other.title), other.name))
	}
	fmt.Fprintf(&b, "\n## See also\n\n%s\n", strings.Join(names, ", "))
	return b.String()
}

// body writes what both forms have, in Markdown.
func (p *manPage) body(b *strings.Builder, mark string, heading func(string) string, flag func(flagEntry) string) {
	section := func(title, text string) {
		if strings.TrimSpace(text) != "" {
			fmt.Fprintf(b, "%s %s\n\n%s\n\n", mark, heading(title), strings.TrimRight(text, "\n"))
		}
	}
	if p.synopsis != "" {
		section("Synopsis", fence(p.synopsis))
	}
	section("Description", asMarkdown(p.text))
	var flags strings.Builder
	for _, f := range p.flags {
		flags.WriteString(flag(f))
	}
	section("Options", flags.String())
	section("Examples", fence(unindent(p.examples)))
	section("Exit status", fence(unindent(p.exit)))
}

// names are -m, --model FILE with each name and the value set off as told.
func (f flagEntry) names(name, value string) string {
	text := fmt.Sprintf(name, "--"+f.long)
	if f.short != "" {
		text = fmt.Sprintf(name, "-"+f.short) + ", " + text
	}
	if f.value != "" {
		text += " " + fmt.Sprintf(value, escape(f.value))
	}
	return text
}

// asMarkdown turns help into Markdown: indented lines become blocks of code.
func asMarkdown(text string) string {
	var b strings.Builder
	var code []string
	flush := func() {
		if joined := strings.TrimRight(strings.Join(code, "\n"), "\n"); joined != "" {
			b.WriteString("\n" + fence(unindent(joined)) + "\n\n")
		}
		code = nil
	}
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "  ") || line == "" && code != nil:
			code = append(code, line)
		default:
			flush()
			b.WriteString(escape(line) + "\n")
		}
	}
	flush()
	return b.String()
}

func fence(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return "```\n" + strings.Trim(text, "\n") + "\n```"
}

// unindent takes the two spaces off that help puts before examples.
func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}

var (
	special = regexp.MustCompile("[\\\\`*_{}\\[\\]<>#|~]")
	listed  = regexp.MustCompile(`^(\s*\d+)([.)] )|^(\s*)([-+] )`)
)

// escape keeps plain text from being read as Markdown.
func escape(text string) string {
	text = special.ReplaceAllString(text, `\$0`)
	return listed.ReplaceAllString(text, `$1$3\$2$4`)
}

// manualIndex lists the pages in Markdown.
func manualIndex(pages []*manPage) string {
	var b strings.Builder
	b.WriteString("# qlora manual\n\n")
	for _, p := range pages {
		fmt.Fprintf(&b, "- [%s](%s.md): %s\n", escape(p.title), p.name, escape(p.short))
	}
	return b.String()
}
