package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpTemplate puts what a reader came for first: what the command does, how
// it is called, examples, flags; the exit status closes the page.
const helpTemplate = `{{description .}}

Usage:
  {{.UseLine}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- if .HasAvailableSubCommands}}

Commands:
{{- range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}
{{- end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{flagUsages .LocalFlags | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasAvailableInheritedFlags}}

Flags of every command:
{{flagUsages .InheritedFlags | trimTrailingWhitespaces}}
{{- end}}
{{- if not .HasParent}}

Topics, shown by 'qlora help TOPIC':
{{- topicList}}
{{- end}}
{{- with exitSection .}}

{{.}}
{{- end}}
`

const exitHeading = "Exit status:"

func setHelp(root *cobra.Command) {
	cobra.AddTemplateFunc("description", func(cmd *cobra.Command) string {
		text, _, _ := strings.Cut(longOrShort(cmd), exitHeading)
		return strings.TrimSpace(text)
	})
	cobra.AddTemplateFunc("exitSection", func(cmd *cobra.Command) string {
		if _, text, ok := strings.Cut(cmd.Long, exitHeading); ok {
			return exitHeading + strings.TrimRight(text, " \n")
		}
		return ""
	})
	cobra.AddTemplateFunc("topicList", topicList)
	cobra.AddTemplateFunc("flagUsages", flagUsages)
	root.SetHelpTemplate(helpTemplate)
}

// optionalValue is how pflag shows a flag that may stand alone.
var optionalValue = regexp.MustCompile(`(--[a-z-]+) (\S+)\[="[^"]*"\]`)

// flagUsages lists flags. What a flag means alone stands in its words; the value
// of flash-attn may follow after a space, that of others not.
func flagUsages(flags *pflag.FlagSet) string {
	return optionalValue.ReplaceAllStringFunc(flags.FlagUsages(), func(shown string) string {
		m := optionalValue.FindStringSubmatch(shown)
		text := m[1] + "[=" + m[2] + "]"
		if m[1] == "--flash-attn" {
			text = m[1] + " " + m[2]
		}
		return fmt.Sprintf("%-*s", len(shown), text)
	})
}

func longOrShort(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short
}
