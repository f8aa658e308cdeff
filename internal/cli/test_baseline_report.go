package cli

import (
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/evaluate"
	"github.com/qlora/qlora/internal/ui"
)

// baselineResult is what was measured of one variant: "base" or "adapter".
type baselineResult struct {
	Name        string     `json:"name"`
	Samples     int        `json:"samples"`
	Tokens      int        `json:"tokens"`
	Loss        float64    `json:"loss"` // nats per token
	Perplexity  float64    `json:"perplexity"`
	BitsPerByte *float64   `json:"bits_per_byte"` // null when the trained tokens have no text
	FIM         *fimResult `json:"fim,omitempty"`
}

type fimResult struct {
	Samples        int     `json:"samples"`
	ExactMatch     float64 `json:"exact_match"`
	EditSimilarity float64 `json:"edit_similarity"`
}

// generation is one prompt of the data with the answers to it.
type generation struct {
	Where     string  `json:"where"`
	Prompt    string  `json:"prompt"`
	Reference string  `json:"reference"`
	Base      string  `json:"base"`
	Adapter   *string `json:"adapter,omitempty"`
}

// baselineSummary ends the JSON output of test baseline.
type baselineSummary struct {
	Model        string          `json:"model"`
	LoRA         []string        `json:"lora,omitempty"`
	Data         []string        `json:"data"`
	Base         baselineResult  `json:"base"`
	Adapter      *baselineResult `json:"adapter,omitempty"`
	Generations  []generation    `json:"generations,omitempty"`
	SkippedLines int             `json:"skipped_lines"`
}

func resultOf(name string, l evaluate.Loss) baselineResult {
	r := baselineResult{Name: name, Samples: l.Samples, Tokens: l.Tokens, Loss: l.Mean(), Perplexity: l.Perplexity()}
	if l.Bytes > 0 {
		bits := l.BitsPerByte()
		r.BitsPerByte = &bits
	}
	return r
}

// pairAnswers puts the answers with and without adapters beside each other;
// with is nil when there are no adapters.
func pairAnswers(base, with []evaluate.Answer) []generation {
	var pairs []generation
	for i, a := range base {
		g := generation{Where: a.Where, Prompt: a.Prompt, Reference: a.Reference, Base: a.Text}
		if with != nil {
			g.Adapter = &with[i].Text
		}
		pairs = append(pairs, g)
	}
	return pairs
}

func (o *baselineOptions) print(s *ui.Streams, sum baselineSummary) error {
	if s.JSON {
		return s.Event("summary", sum)
	}
	results := []baselineResult{sum.Base}
	if sum.Adapter != nil {
		results = append(results, *sum.Adapter)
	}
	var rows [][]string
	for _, r := range results {
		rows = append(rows, r.row())
	}
	ui.Table(s.Out, []string{"", "loss", "perplexity", "bits/byte", "tokens", "gaps", "filled", "similarity"}, rows)
	for _, g := range sum.Generations {
		printGeneration(s, g)
	}
	return nil
}

func (r baselineResult) row() []string {
	row := []string{r.Name, fmt.Sprintf("%.4f", r.Loss), fmt.Sprintf("%.2f", r.Perplexity), "-", fmt.Sprint(r.Tokens), "-", "-", "-"}
	if r.BitsPerByte != nil {
		row[3] = fmt.Sprintf("%.3f", *r.BitsPerByte)
	}
	if r.FIM != nil {
		row[5], row[6] = fmt.Sprint(r.FIM.Samples), fmt.Sprintf("%.1f %%", 100*r.FIM.ExactMatch)
		row[7] = fmt.Sprintf("%.3f", r.FIM.EditSimilarity)
	}
	return row
}

// shownPrompt bounds what is printed of a prompt: its end matters most.
const shownPrompt = 300

func printGeneration(s *ui.Streams, g generation) {
	prompt := []rune(g.Prompt)
	if len(prompt) > shownPrompt {
		prompt = append([]rune("... "), prompt[len(prompt)-shownPrompt:]...)
	}
	s.Printf("\n%s\n", g.Where)
	printPart(s, "prompt", string(prompt))
	printPart(s, "data", g.Reference)
	printPart(s, "base", g.Base)
	if g.Adapter != nil {
		printPart(s, "adapter", *g.Adapter)
	}
}

// printPart prints text beside its label, or below one that is long.
func printPart(s *ui.Streams, label, text string) {
	const width = 8
	indent := "\n" + strings.Repeat(" ", width+3)
	text = strings.ReplaceAll(strings.TrimRight(visible(text), "\n"), "\n", indent)
	if len(label) > width {
		s.Printf("  %s%s%s\n", label, indent, text)
		return
	}
	s.Printf("  %-*s %s\n", width, label, text)
}

// visible keeps generated text and data from steering the terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}
