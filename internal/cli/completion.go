package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ui"
)

const completionLong = `Completion prints a script that makes a shell complete qlora's commands, flags
and their values: model files, adapters, runs, data files and fixed choices.
'make install' puts the scripts of bash, zsh and fish in their places.`

const completionExample = `  # bash, for this session; then for every one
  source <(qlora completion bash)
  qlora completion bash > ~/.local/share/bash-completion/completions/qlora

  # zsh, in a folder of $fpath; fish
  qlora completion zsh > "${fpath[1]}/_qlora"
  qlora completion fish > ~/.config/fish/completions/qlora.fish

  # PowerShell
  qlora completion powershell | Out-String | Invoke-Expression`

var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletionCmd(s *ui.Streams) *cobra.Command {
	return &cobra.Command{
		Use:                   "completion {" + strings.Join(shells, "|") + "}",
		Short:                 "print a script that makes a shell complete qlora",
		Long:                  completionLong + exitStatus(ui.ExitOK),
		Example:               completionExample,
		ValidArgs:             shells,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			script, err := completionScript(cmd.Root(), args[0])
			if err != nil {
				return fmt.Errorf("write the completion script of %s: %w", args[0], err)
			}
			s.Printf("%s", script)
			return s.Event("summary", completionSummary{Shell: args[0], Script: script})
		},
	}
}

// completionSummary is the JSON output of completion.
type completionSummary struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

func completionScript(root *cobra.Command, shell string) (string, error) {
	var b bytes.Buffer
	write := map[string]func() error{
		"bash":       func() error { return root.GenBashCompletionV2(&b, true) },
		"zsh":        func() error { return root.GenZshCompletion(&b) },
		"fish":       func() error { return root.GenFishCompletion(&b, true) },
		"powershell": func() error { return root.GenPowerShellCompletionWithDesc(&b) },
	}[shell]
	err := write()
	return b.String(), err
}
