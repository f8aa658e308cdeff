package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ui"
)

const docsLong = `Docs writes the manual of this very binary: a page for each command, with its
options and examples, and one for each help topic. --man writes pages for man(1)
into folders man1, man5 and man7, --markdown writes Markdown with an index. Files
of those names are replaced, others stay.`

const docsExample = `  qlora docs --man ~/.local/share/man && man qlora-train
  qlora docs --markdown manual
  qlora docs --man build/man --markdown build/manual --json`

type docsOptions struct{ man, markdown string }

func newDocsCmd(s *ui.Streams) *cobra.Command {
	var o docsOptions
	cmd := &cobra.Command{
		Use:     "docs {--man <folder> | --markdown <folder>}",
		Short:   "write the manual: pages for man, or Markdown",
		Long:    docsLong + exitStatus(ui.ExitOK),
		Example: docsExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.man == "" && o.markdown == "" {
				return asUsage(cmd, errors.New("name a folder with --man, with --markdown, or with both"))
			}
			return o.run(cmd.Root(), s)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&o.man, "man", "", "`folder` for man1, man5 and man7")
	cmd.Flags().StringVar(&o.markdown, "markdown", "", "`folder` for Markdown files")
	return cmd
}

// docsSummary is the JSON output of docs.
type docsSummary struct {
	Man      []string `json:"man"`      // files written
	Markdown []string `json:"markdown"` // likewise
}

func (o docsOptions) run(root *cobra.Command, s *ui.Streams) error {
	pages := manual(root)
	sum := docsSummary{Man: []string{}, Markdown: []string{}}
	for _, p := range pages {
		if o.man != "" {
			path := filepath.Join(o.man, fmt.Sprintf("man%d", p.section), fmt.Sprintf("%s.%d", p.name, p.section))
			if err := writePage(path, p.man(readVersion()), &sum.Man); err != nil {
				return err
			}
		}
		if o.markdown != "" {
			if err := writePage(filepath.Join(o.markdown, p.name+".md"), []byte(p.markdown()), &sum.Markdown); err != nil {
				return err
			}
		}
	}
	if o.markdown != "" {
		if err := writePage(filepath.Join(o.markdown, "README.md"), []byte(manualIndex(pages)), &sum.Markdown); err != nil {
			return err
		}
	}
	s.Infof("%s written\n", english.Plural(len(sum.Man)+len(sum.Markdown), "file", ""))
	return s.Event("summary", sum)
}

func writePage(path string, text []byte, written *[]string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the manual: %w", err)
	}
	if err := writeWhole(path, text); err != nil {
		return err
	}
	*written = append(*written, path)
	return nil
}
