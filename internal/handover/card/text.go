package card

import (
	"fmt"
	"math"
	"strings"
)

// Text is the whole card, in Markdown.
func (c *Card) Text() (string, error) {
	head, err := c.front().yaml()
	if err != nil {
		return "", fmt.Errorf("write the model card: %w", err)
	}
	sections := []string{head, c.intro(), c.use(), c.data(), c.settings(), c.results(), c.license()}
	var parts []string
	for _, s := range sections {
		if s != "" {
			parts = append(parts, strings.TrimRight(s, "\n")+"\n")
		}
	}
	return strings.Join(parts, "\n"), nil
}

func (c *Card) intro() string {
	what := fmt.Sprintf("A low-rank adapter (LoRA) for %s.", c.Base.Label())
	if c.Merged {
		what = fmt.Sprintf("A model of the %s architecture", c.Base.Architecture)
		if c.Run != nil || c.Result != nil {
			what += ", with what was trained built in"
		}
		what += "."
	}
	if c.Run != nil || c.Result != nil {
		what += " It was trained with " + c.Tool + "."
	}
	return "# " + line(c.Name) + "\n\n" + line(what) + "\n"
}

func (c *Card) use() string {
	var commands string
	switch {
	case c.Format == Ollama:
		commands = "ollama create NAME -f Modelfile\nollama run NAME"
	case c.Format == PEFT:
		return "## Use\n\n```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n" +
			fmt.Sprintf("base = AutoModelForCausalLM.from_pretrained(%q)\n", c.Base.Label()) +
			"model = PeftModel.from_pretrained(base, \".\")\n```\n"
	case c.Merged:
		commands = "llama-cli -m " + c.File
	default:
		commands = fmt.Sprintf("llama-cli -m %s --lora %s\nqlora merge -m %s --lora %s -o merged.gguf", c.Base.File, c.File, c.Base.File, c.File)
	}
	return "## Use\n\n```sh\n" + commands + "\n```\n"
}

func (c *Card) data() string {
	if len(c.Train) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("## Data\n\n| file | for | weight | records | samples | tokens | trained tokens |\n|---|---|---|---|---|---|---|\n")
	rows := func(files []DataFile, purpose string) {
		for _, d := range files {
			fmt.Fprintf(&b, "| %s | %s | %g | %d | %d | %d | %d |\n", cell(d.Name), purpose, d.Weight, d.Records, d.Samples, d.Tokens, d.Trained)
		}
	}
	rows(c.Train, "training")
	rows(c.Eval, "evaluation")
	b.WriteString("\nTokens with loss are trained; the others are only read. The counts are of one pass.\n")
	return b.String()
}

// settings lists what decides a result. Everything else of a run, folders
// above all, stays at home.
func (c *Card) settings() string {
	var rows [][2]string
	add := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if c.Rank > 0 {
		add("rank", "%d", c.Rank)
		add("scale (alpha / rank)", "%.4g", c.scale())
	}
	if len(c.Targets) > 0 {
		add("adapted", "%s", strings.Join(c.Targets, ", "))
	}
	if r := c.Run; r != nil {
		add("method", "%s", r.Method)
		add("dropout", "%g", r.Dropout)
		add("context", "%d tokens, packed: %v", r.CtxSize, r.Pack)
		add("loss on", "%s", r.Loss)
		add("rows per step", "%d (%d at a time)", r.MicroBatchSize*r.GradAccum, r.MicroBatchSize)
		add("optimiser", "AdamW, betas %g and %g, epsilon %g, weight decay %g", r.Beta1, r.Beta2, r.Eps, r.WeightDecay)
		add("learning rate", "%g, %s", r.LearningRate, r.Schedule)
		add("gradient clipping", "%g", r.Clip)
		add("precision", "%s", r.Precision)
		add("seed", "%d", r.Seed)
	}
	if len(rows) == 0 {
		return ""
	}
	return "## Settings\n\n" + table([2]string{"setting", "value"}, rows)
}

func (c *Card) scale() float64 {
	if c.Alpha == 0 {
		return 1
	}
	return c.Alpha / float64(c.Rank)
}

func (c *Card) results() string {
	r := c.Result
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
	return "## Results\n\nLosses are means over trained tokens, in nats.\n\n" + table([2]string{"figure", "value"}, rows)
}

func (c *Card) license() string {
	text := "## Licence\n\n"
	switch b := c.Base; {
	case b.License == "" && b.LicenseName == "":
		text += "The base model's file does not say its licence. Find out before you pass this on."
	case b.LicenseLink != "":
		text += fmt.Sprintf("The base model's licence is %s (%s).", line(first(b.LicenseName, b.License)), line(b.LicenseLink))
	default:
		text += fmt.Sprintf("The base model's licence is %s.", line(first(b.LicenseName, b.License)))
	}
	return text + " What the data allows is for its owner to add here.\n"
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func table(head [2]string, rows [][2]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |\n|---|---|\n", head[0], head[1])
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", cell(row[0]), cell(row[1]))
	}
	return b.String()
}

// line is text in one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// cell is text inside a table.
func cell(text string) string { return strings.ReplaceAll(line(text), "|", `\|`) }
