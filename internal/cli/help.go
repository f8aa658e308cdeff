package cli

import (
	"strings"

	"github.com/spf13/cobra"
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
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
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
	root.SetHelpTemplate(helpTemplate)
}

func longOrShort(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short
}
