package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ui"
)

// topic is a page of help that is about no single command.
type topic struct {
	name, short string
	section     int // of the manual
	text        func() string
}

// topics are shown by help NAME, and are pages of the manual.
var topics = []topic{
	{"environment", "variables that qlora reads", 7, environmentText},
	{"exit-codes", "what the codes mean that qlora ends with", 7, exitCodesText},
	{"formats", "files that qlora reads and writes", 5, func() string { return formatsText }},
}

func findTopic(name string) (topic, bool) {
	for _, t := range topics {
		if t.name == strings.ReplaceAll(strings.ToLower(name), "_", "-") {
			return t, true
		}
	}
	return topic{}, false
}

// topicList is the list that closes the help of qlora itself.
func topicList() string {
	var b strings.Builder
	for _, t := range topics {
		fmt.Fprintf(&b, "\n  %-12s  %s", t.name, t.short)
	}
	return b.String()
}

// topicSummary is the JSON output of help for a topic.
type topicSummary struct {
	Topic string `json:"topic"`
	Text  string `json:"text"`
}

func (t topic) show(s *ui.Streams) error {
	s.Printf("%s", t.text())
	return s.Event("summary", topicSummary{Topic: t.name, Text: t.text()})
}

// newHelpCmd is "qlora help [command]", the long way to --help, and the way to
// the topics.
func newHelpCmd(s *ui.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command or topic]",
		Short: "show the help of a command, or about a topic",
		Long: "Help shows the help of a command, the same as its --help flag, or one of these\ntopics:\n" +
			topicList() + exitStatus(ui.ExitOK),
		Example:           "  qlora help train\n  qlora help prep split\n  qlora help environment",
		ValidArgsFunction: completeHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if t, ok := findTopic(args[0]); ok {
					return t.show(s)
				}
			}
			target, rest, err := cmd.Root().Find(args)
			if err != nil || target == nil || len(rest) > 0 {
				return asUsage(cmd, unknownTopic(strings.Join(args, " ")))
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}

func completeHelp(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []string
	at, _, err := cmd.Root().Find(args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, sub := range at.Commands() {
		if sub.IsAvailableCommand() && strings.HasPrefix(sub.Name(), typed) {
			found = append(found, cobra.CompletionWithDesc(sub.Name(), sub.Short))
		}
	}
	for _, t := range topics {
		if len(args) == 0 && strings.HasPrefix(t.name, typed) {
			found = append(found, cobra.CompletionWithDesc(t.name, t.short))
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
