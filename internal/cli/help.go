package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ui"
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
	root.SetHelpTemplate(helpTemplate)
}

func longOrShort(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short
}

// newHelpCmd is "qlora help [command]", the long way to --help.
func newHelpCmd(s *ui.Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "help [command]",
		Short:   "show the help of a command",
		Long:    "Help shows the help of a command, the same as its --help flag." + exitStatus(ui.ExitOK),
		Example: "  qlora help train\n  qlora help prep split",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || target == nil || len(rest) > 0 {
				return asUsage(cmd, unknownTopic(strings.Join(args, " ")))
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}
