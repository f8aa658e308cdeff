package card

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// AdaptersKey is where the file of a merged model says what was built into it.
const AdaptersKey = "qlora.adapters"

// Adapter is what a card says of an adapter, or of the training of a whole
// model. A merge keeps it in the model's file: it holds nothing that a card
// would not publish.
type Adapter struct {
	Name     string      `json:"name"`
	Factor   float64     `json:"factor"`            // on its scale
	Trained  bool        `json:"trained,omitempty"` // here: settings or results of the run are known
	Settings [][2]string `json:"settings,omitempty"`
	Result   *Result     `json:"result,omitempty"`
	Train    []DataFile  `json:"train,omitempty"`
	Eval     []DataFile  `json:"eval,omitempty"`
}

// Adapter is what the card of an adapter says of it.
func (c *Card) Adapter(factor float64) Adapter {
	return Adapter{Name: c.Name, Factor: factor, Trained: c.Run != nil || c.Result != nil,
		Settings: c.settings(), Result: c.Result, Train: c.Train, Eval: c.Eval}
}

// AdaptersOf reads what was built into a model; it is empty for one that no merge
// has written.
func AdaptersOf(f *gguf.File) ([]Adapter, error) {
	text, ok := f.String(AdaptersKey)
	if !ok {
		return nil, nil
	}
	var all []Adapter
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", AdaptersKey, f.Paths()[0], err)
	}
	return all, nil
}

// EncodeAdapters is the value of AdaptersKey.
func EncodeAdapters(all []Adapter) (string, error) {
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encode what is known of the adapters: %w", err)
	}
	return string(text), nil
}

// label is the name of an adapter that was built in, with its factor.
func (a Adapter) label() string {
	if a.Factor == 1 {
		return a.Name
	}
	return fmt.Sprintf("%s at %g times its scale", a.Name, a.Factor)
}

// sections are those of a card; builtIn says that the figures are older than the
// weights beside it.
func (a Adapter) sections(heading string, builtIn bool) []string {
	settings := ""
	if len(a.Settings) > 0 {
		settings = heading + " Settings\n\n" + table([2]string{"setting", "value"}, a.Settings)
	}
	return []string{a.data(heading), settings, a.results(heading, builtIn)}
}

func (a Adapter) data(heading string) string {
	if len(a.Train) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(heading + " Data\n\n| file | for | weight | records | samples | tokens | trained tokens |\n|---|---|---|---|---|---|---|\n")
	rows := func(files []DataFile, purpose string) {
		for _, d := range files {
			fmt.Fprintf(&b, "| %s | %s | %g | %d | %d | %d | %d |\n", cell(d.Name), purpose, d.Weight, d.Records, d.Samples, d.Tokens, d.Trained)
		}
	}
	rows(a.Train, "training")
	rows(a.Eval, "evaluation")
	b.WriteString("\nTokens with loss are trained; the others are only read. The counts are of one pass.\n")
	return b.String()
}

func (a Adapter) results(heading string, builtIn bool) string {
	r := a.Result
	if r == nil {
		return ""
	}
	rows := [][2]string{{"steps", fmt.Sprint(r.Steps)}, {"trained tokens", fmt.Sprint(r.TrainedTokens)},
		{"training loss", fmt.Sprintf("%.4f", r.TrainLoss)}}
	if r.Best { // tokens and training loss are those of the whole run
		rows = [][2]string{{"steps", fmt.Sprintf("%d of %d, the best by evaluation", r.BestStep, r.Steps)}}
	}
	add := func(name string, loss *float64) {
		if loss != nil {
			rows = append(rows, [2]string{name, fmt.Sprintf("%.4f (perplexity %.2f)", *loss, math.Exp(*loss))})
		}
	}
	add("evaluation loss before", r.EvalLossBefore)
	add("evaluation loss after", r.loss())
	if !r.Best && r.BestStep != r.Steps && r.BestStep > 0 {
		add(fmt.Sprintf("best evaluation loss, after step %d", r.BestStep), r.BestEvalLoss)
	}
	note := "Losses are means over trained tokens, in nats."
	if builtIn {
		note += " They are those of the adapter in training, before it was built in."
	}
	return heading + " Results\n\n" + note + "\n\n" + table([2]string{"figure", "value"}, rows)
}
