package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover"
	"github.com/qlora/qlora/internal/handover/card"
	"github.com/qlora/qlora/internal/handover/ollama"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

const (
	defaultTemperature = 0.7
	// defaultNumCtx caps the context in a Modelfile: Ollama takes the memory
	// for all of it at once.
	defaultNumCtx = 8192
)

func (o *exportOptions) toOllama(ctx context.Context, folder *handover.Folder, in *exportSource, sum *exportSummary, s *ui.Streams) error {
	if n := len(in.base.Paths()); n > 1 {
		return ui.Fail(ui.ExitInvalid, fmt.Errorf("%s is split into %d files, and a Modelfile names one", in.base.Paths()[0], n),
			"write it as one file with 'qlora merge', which builds the adapter in too")
	}
	sum.Tools = new(bool)
	m, err := o.modelfile(in, sum)
	if err != nil {
		return err
	}
	if err := writeModelfile(folder, m, sum); err != nil {
		return err
	}
	if err := writeCardInto(folder, cardOf(in, card.Ollama, m.From), sum); err != nil {
		return err
	}
	files := [][2]string{{in.base.Paths()[0], m.From}}
	if in.adapter != nil {
		files = append(files, [2]string{in.path, m.Adapter})
	}
	return o.place(ctx, folder, files, sum, s)
}

// place copies or links files, each a path and a name in the folder.
func (o *exportOptions) place(ctx context.Context, folder *handover.Folder, files [][2]string, sum *exportSummary, s *ui.Streams) error {
	total := int64(0)
	for _, f := range files {
		total += fileSizes(f[0])
		sum.Files = append(sum.Files, f[1])
	}
	bar := ui.NewProgress(s, total, "copy", "B")
	defer bar.Finish()
	for _, f := range files {
		var err error
		if o.link {
			err = folder.Link(f[0], f[1])
		} else {
			err = folder.Copy(f[0], f[1], func(n int) error {
				bar.Add(int64(n))
				return ctx.Err()
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *exportOptions) modelfile(in *exportSource, sum *exportSummary) (*ollama.Modelfile, error) {
	m := &ollama.Modelfile{From: filepath.Base(in.base.Paths()[0]), NumCtx: o.contextOf(in.base), Temperature: o.temperatureOf(in.base)}
	if in.adapter != nil {
		m.Adapter = filepath.Base(in.path)
		if m.Adapter == m.From {
			m.Adapter = "adapter-" + m.Adapter
		}
	}
	if err := o.chooseTemplate(m, in.base, sum); err != nil {
		return nil, err
	}
	if len(o.stop) > 0 {
		m.Stop = o.stop
	}
	switch {
	case o.noSystem:
		m.System = ""
	case o.system != "":
		m.System = o.system
	}
	var err error
	m.Licenses, err = o.licenses(in.base, sum)
	return m, err
}

func (o *exportOptions) contextOf(base *gguf.File) int {
	if o.numCtx > 0 {
		return o.numCtx
	}
	arch, _ := base.String("general.architecture")
	trained, ok := base.Uint(arch + ".context_length")
	if !ok {
		return 0
	}
	return int(min(trained, defaultNumCtx))
}

// temperatureOf is what was asked for, or what the model's file recommends.
func (o *exportOptions) temperatureOf(base *gguf.File) float64 {
	if t, ok := base.Float("general.sampling.temp"); ok && !o.tempSet && t >= 0 {
		return t
	}
	return o.temperature
}

// licenses are the texts of LICENSE.
func (o *exportOptions) licenses(base *gguf.File, sum *exportSummary) ([]string, error) {
	if o.license != "" {
		text, err := os.ReadFile(o.license)
		if err == nil {
			return []string{string(text)}, nil
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrInvalid) {
			return nil, fmt.Errorf("read the licence: %w", err)
		}
		return []string{o.license}, nil
	}
	var texts []string
	for _, key := range []string{"general.license", "general.license.name", "general.license.link"} {
		if text, _ := base.String(key); text != "" {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		sum.warn("%s does not say its licence: name it with --license before you pass the folder on", base.Paths()[0])
	}
	return texts, nil
}

// chooseTemplate fills in the template with its stop texts and system message.
func (o *exportOptions) chooseTemplate(m *ollama.Modelfile, base *gguf.File, sum *exportSummary) error {
	if o.template != "" {
		text, err := os.ReadFile(o.template)
		if err != nil {
			return ui.Fail(ui.ExitUsage, fmt.Errorf("read the template: %w", err), "name a file with --template, or leave it out")
		}
		if err := ollama.Parse(string(text)); err != nil {
			return ui.Fail(ui.ExitUsage, fmt.Errorf("%s: %w", o.template, err), "write it in Ollama's template language: https://docs.ollama.com/template")
		}
		m.Template = string(text)
		return nil
	}
	chat, _ := base.String("tokenizer.chat_template")
	if chat == "" {
		sum.warn("%s has no chat template: Ollama will pass prompts on as they are; name one with --template", base.Paths()[0])
		return nil
	}
	own, err := dataset.NewTemplate(base.Paths()[0], chat, ollama.Day)
	if err != nil {
		return ui.Fail(ui.ExitInvalid, err, "name a template for Ollama with --template")
	}
	render, fim, err := readVocabulary(base.Paths()[0], own)
	if err != nil {
		return err
	}
	choice, ok := ollama.Choose(chat, render, fim)
	if !ok {
		sum.warn("the chat template of %s is of no family known here: Ollama will look for one by itself, and tools are left out; name one with --template", base.Paths()[0])
		return nil
	}
	tellDifferences(sum, base.Paths()[0], choice, own.UsesDate())
	sum.Family, *sum.Tools = choice.Family, choice.Tools
	m.Template, m.Stop, m.System = choice.Template, choice.Stop, choice.System
	return nil
}

// tellDifferences warns of what the chosen template writes otherwise than the
// model's own. dated tells that the own one writes the day.
func tellDifferences(sum *exportSummary, path string, choice ollama.Choice, dated bool) {
	if choice.Differs != "" {
		sum.warn("the template for %s does not write chats as the model's own does: %s; see --template", choice.Family, choice.Differs)
	}
	if choice.ToolsDiffer != "" {
		sum.warn("the template for %s does not write tools as the model's own does: %s; see --template", choice.Family, choice.ToolsDiffer)
	}
	if dated {
		sum.warn("the chat template of %s writes the day, which a Modelfile cannot: it says %s for ever; see --template", path, ollama.Day.Format("2 Jan 2006"))
	}
}

// readVocabulary gives what templates need of a model's vocabulary: own, which
// is the model's template, as a function, and the tokens around gaps.
func readVocabulary(path string, own *dataset.Template) (ollama.Render, ollama.FIM, error) {
	var fim ollama.FIM
	model, err := llama.Load(path, llama.LoadOptions{VocabOnly: true})
	if err != nil {
		return nil, fim, invalidInput(err)
	}
	v := model.Vocab()
	text := func(token int32) string { return v.Decode([]int32{token}) }
	if f, err := dataset.FindFIM(v); err == nil {
		fim = ollama.FIM{Prefix: text(f.Prefix), Suffix: text(f.Suffix), Middle: text(f.Middle)}
	}
	special := map[string]string{"bos_token": ""} // which Ollama adds
	if eos := v.EOS(); eos >= 0 {
		special["eos_token"] = text(eos)
	}
	render := func(messages []ollama.Message, tools []ollama.Tool) (string, error) {
		chat, err := json.Marshal(messages)
		if err != nil {
			return "", err
		}
		var offered []byte
		if tools != nil {
			if offered, err = json.Marshal(tools); err != nil {
				return "", err
			}
		}
		return own.RenderChat(chat, offered, special)
	}
	return render, fim, model.Close()
}
