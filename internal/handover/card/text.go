package card

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"
)

// Text is the whole card, in Markdown.
func (c *Card) Text() (string, error) {
	head, err := c.front().yaml()
	if err != nil {
		return "", fmt.Errorf("write the model card: %w", err)
	}
	sections := append([]string{head, c.intro(), c.use()}, c.training()...)
	sections = append(sections, c.license())
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
	switch trained := c.trained(); {
	case len(c.Adapters) > 0:
		what = c.builtIn()
	case c.Merged && trained:
		what = fmt.Sprintf("A model of the %s architecture, with what was trained built in. It was trained with %s.", c.Base.Architecture, c.Tool)
	case c.Merged:
		what = fmt.Sprintf("A model of the %s architecture.", c.Base.Architecture)
	case trained:
		what += " It was trained with " + c.Tool + "."
	}
	return "# " + line(c.Name) + "\n\n" + line(what+c.madeFrom()) + "\n"
}

func (c *Card) trained() bool { return c.Run != nil || c.Result != nil }

// madeFrom names the base of a whole model that is no longer it. The file of a
// merged model says of itself what its base's said.
func (c *Card) madeFrom() string {
	name := first(c.Base.Hub, c.Base.Name)
	if c.Merged && c.relation() != "" && name != "" {
		return fmt.Sprintf(" Its base is %s.", name)
	}
	return ""
}

// builtIn names the adapters of a merged model.
func (c *Card) builtIn() string {
	var names, trained []string
	for _, a := range c.Adapters {
		names = append(names, a.label())
		if a.Trained {
			trained = append(trained, a.Name)
		}
	}
	what := fmt.Sprintf("A model of the %s architecture with ", c.Base.Architecture)
	switch {
	case len(names) > 1 && len(trained) > 0:
		return what + fmt.Sprintf("%d adapters built in: %s. Trained with %s: %s.", len(names), english.WordSeries(names, "and"), c.Tool, english.WordSeries(trained, "and"))
	case len(names) > 1:
		return what + fmt.Sprintf("%d adapters built in: %s.", len(names), english.WordSeries(names, "and"))
	case len(trained) > 0:
		return what + fmt.Sprintf("the adapter %s built in, which was trained with %s.", names[0], c.Tool)
	}
	return what + fmt.Sprintf("the adapter %s built in.", names[0])
}

// training is data, settings and results: of this adapter or model, or of each
// adapter that is built into it.
func (c *Card) training() []string {
	switch len(c.Adapters) {
	case 0:
		return c.Adapter(1).sections("##", false)
	case 1:
		return c.Adapters[0].sections("##", true)
	}
	var all []string
	for _, a := range c.Adapters {
		all = append(append(all, "## Adapter "+line(a.label())), a.sections("###", true)...)
	}
	return all
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

// settings lists what decides a result. Everything else of a run, folders
// above all, stays at home.
func (c *Card) settings() (rows [][2]string) {
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
	return rows
}

func (c *Card) scale() float64 {
	if c.Alpha == 0 {
		return 1
	}
	return c.Alpha / float64(c.Rank)
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
