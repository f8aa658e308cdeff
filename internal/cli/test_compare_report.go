package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/evaluate/comparison"
	"github.com/qlora/qlora/internal/ui"
)

// compareSummary ends the JSON output of test compare.
type compareSummary struct {
	*comparison.Report
	ReportFile   string `json:"report,omitempty"`
	AnswersFile  string `json:"answers,omitempty"`
	SkippedLines int    `json:"skipped_lines"`
}

// write prints the comparison and writes the pages that were asked for. What was
// measured is printed even when a page cannot be written.
func (o *compareOptions) write(s *ui.Streams, r *comparison.Report, skipped int) error {
	sum := compareSummary{Report: r, ReportFile: o.report, AnswersFile: o.answers, SkippedLines: skipped}
	var errs []error
	for _, p := range []struct {
		path  *string
		write func(io.Writer) error
	}{{&sum.ReportFile, r.WriteHTML}, {&sum.AnswersFile, r.WriteAnswersHTML}} {
		if *p.path == "" {
			continue
		}
		if err := writeHTML(*p.path, p.write); err != nil {
			errs, *p.path = append(errs, err), ""
			continue
		}
		s.Infof("wrote %s\n", *p.path)
	}
	if !s.JSON {
		printComparison(s, r)
	}
	return errors.Join(append(errs, s.Event("summary", sum))...)
}

func writeHTML(path string, write func(io.Writer) error) error {
	var page bytes.Buffer
	if err := write(&page); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeWhole(filepath.Clean(path), page.Bytes())
}

// checkPages finds before anything is measured that a page cannot be written.
func (o *compareOptions) checkPages() error {
	inputs, err := o.inputs()
	if err != nil {
		return err
	}
	for _, page := range []struct{ flag, path string }{{"--report", o.report}, {"--answers", o.answers}} {
		if page.path == "" {
			continue
		}
		if err := refuseOverwrite(page.flag, page.path, inputs...); err != nil {
			return err
		}
		if err := checkPage(page.flag, page.path); err != nil {
			return err
		}
	}
	return nil
}

func checkPage(flag, path string) error {
	if isFolder(path) {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("%s %s is a folder", flag, path), "name a file in it with "+flag)
	}
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".html" && ext != ".htm" {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("%s %s: the page is HTML, so its name must end in .html", flag, path), "name the page, such as "+strings.TrimSuffix(path, filepath.Ext(path))+".html, with "+flag)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("%s %s cannot be written: %w", flag, path, err), "name a file in a folder that is there and writable with "+flag)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// inputs are all files that a comparison reads.
func (o *compareOptions) inputs() ([]string, error) {
	files := append(modelFiles(o.model), o.general, o.template)
	for _, path := range o.merged {
		files = append(files, modelFiles(path)...)
	}
	adapters, err := parseLoRA(o.lora)
	if err != nil {
		return nil, err
	}
	for _, a := range adapters {
		files = append(files, a.path)
	}
	sources, err := dataset.ParseSources(o.data)
	if err != nil {
		return nil, ui.Fail(ui.ExitUsage, err)
	}
	for _, source := range sources {
		files = append(files, source.Path)
	}
	return files, nil
}

func printComparison(s *ui.Streams, r *comparison.Report) {
	rows := [][]string{compareRow(r.Base)}
	for _, v := range r.Variants {
		rows = append(rows, compareRow(v.Figures))
	}
	ui.Table(s.Out, []string{"", "loss", "perplexity", "gaps", "filled", "similarity", "general loss"}, rows)
	s.Printf("\n")
	printAgainst(s, r)
	printLanguages(s, r)
	for _, p := range r.Prompts {
		printPrompt(s, p)
	}
	s.Printf("\n%s\n", r.Verdicts())
}

// printAgainst sets each variant beside the base, a column a variant, without the
// rows for what was not measured.
func printAgainst(s *ui.Streams, r *comparison.Report) {
	head := []string{fmt.Sprintf("against the base (%g %% intervals)", 100*r.Level)}
	rows := [][]string{{"loss"}, {"samples with a lower loss"}, {"gaps filled exactly, % points"}, {"loss on general text"},
		{"KL divergence on general text"}, {"same likeliest token there"}, {"answers won, tied, lost"}}
	for _, v := range r.Variants {
		head = append(head, v.Name)
		for i, cell := range againstBase(v) {
			rows[i] = append(rows[i], cell)
		}
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "-" })
	ui.Table(s.Out, head, rows)
}

func againstBase(v comparison.Result) []string {
	same, answers := "-", "-"
	if v.SameTop != nil {
		same = fmt.Sprintf("%.1f %%", 100**v.SameTop)
	}
	if v.Wins+v.Ties+v.Losses > 0 {
		answers = fmt.Sprintf("%d, %d, %d", v.Wins, v.Ties, v.Losses)
	}
	return []string{v.LossDifference.Text("%+.4f", 1), fmt.Sprintf("%d of %d", v.Better, v.Samples), v.FIMExact.Text("%+.1f", 100),
		v.GeneralLoss.Text("%+.4f", 1), v.KL.Text("%.4f", 1), same, answers}
}

func compareRow(f comparison.Figures) []string {
	row := []string{f.Name, fmt.Sprintf("%.4f", f.Loss), fmt.Sprintf("%.2f", f.Perplexity), "-", "-", "-", "-"}
	if f.FIM != nil {
		row[3], row[4] = fmt.Sprint(f.FIM.Gaps), fmt.Sprintf("%.1f %%", 100*f.FIM.ExactMatch)
		row[5] = fmt.Sprintf("%.3f", f.FIM.Similarity)
	}
	if f.General != nil {
		row[6] = fmt.Sprintf("%.4f", f.General.Loss)
	}
	return row
}

func printLanguages(s *ui.Streams, r *comparison.Report) {
	if r.Base.FIM == nil || len(r.Base.FIM.Languages) < 2 {
		return
	}
	s.Printf("\n")
	var rows [][]string
	for i, l := range r.Base.FIM.Languages {
		row := []string{visible(l.Name), fmt.Sprint(l.Gaps), fmt.Sprintf("%.1f %%, %.3f", 100*l.ExactMatch, l.Similarity)}
		for _, v := range r.Variants {
			l := v.FIM.Languages[i]
			row = append(row, fmt.Sprintf("%.1f %%, %.3f", 100*l.ExactMatch, l.Similarity))
		}
		rows = append(rows, row)
	}
	head := []string{"filled, similarity", "gaps", "base"}
	for _, v := range r.Variants {
		head = append(head, v.Name)
	}
	ui.Table(s.Out, head, rows)
}

func printPrompt(s *ui.Streams, p comparison.Prompt) {
	prompt := []rune(p.Prompt)
	if len(prompt) > shownPrompt {
		prompt = append([]rune("... "), prompt[len(prompt)-shownPrompt:]...)
	}
	s.Printf("\n%s\n", p.Where)
	printPart(s, "prompt", string(prompt))
	printPart(s, "data", shortened(p.Reference))
	for _, a := range p.Answers {
		label := a.Name
		if a.Against != "" {
			label += " (" + a.Against.Verb() + ")"
		}
		printPart(s, label, a.Text)
	}
}

// shownReference bounds what is printed of the data's answer, in characters.
const shownReference = 400

// shortened is the beginning of a text that is longer than an answer.
func shortened(text string) string {
	all := []rune(text)
	if len(all) <= shownReference {
		return text
	}
	return fmt.Sprintf("%s\n[... %s more characters, in --report and --json]", strings.TrimRight(string(all[:shownReference]), "\n"), humanize.Comma(int64(len(all)-shownReference)))
}
