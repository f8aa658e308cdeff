package cli

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/llama"
	prepstats "github.com/qlora/qlora/internal/prep/stats"
	"github.com/qlora/qlora/internal/ui"
)

// vocabularyOptions name the model whose vocabulary and template records are
// looked at with.
type vocabularyOptions struct {
	model    string // "": none
	template string
	loss     string
}

func (o *vocabularyOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&o.model, "model", "m", "", "GGUF model whose vocabulary and chat template are used")
	flags.StringVar(&o.template, "chat-template", "", "chat template instead of the model's: a name, a file or the text")
	enumVar(flags, &o.loss, "loss", string(dataset.LossAssistant),
		[]string{string(dataset.LossAssistant), string(dataset.LossAll), string(dataset.LossCompletion)}, "tokens that are trained on")
}

// vocabulary makes the tokens of records as training with a model would.
type vocabulary struct {
	*dataset.Reader
	model    *llama.Model
	template string // where the chat template comes from, "" without one
}

// open loads the vocabulary of the model; nil when none was named.
func (o vocabularyOptions) open() (*vocabulary, error) {
	if o.model == "" {
		return nil, nil
	}
	if err := checkModel(o.model, nil); err != nil {
		return nil, err
	}
	model, err := llama.Load(o.model, llama.LoadOptions{VocabOnly: true})
	if err != nil {
		return nil, invalidInput(err)
	}
	v := &vocabulary{model: model}
	if err := v.prepare(o); err != nil {
		_ = model.Close() // the first error is the one to tell
		return nil, err
	}
	return v, nil
}

func (v *vocabulary) prepare(o vocabularyOptions) error {
	template, err := dataset.ChooseTemplate(o.template, v.model.ChatTemplate(), o.model, time.Now())
	if err != nil {
		return ui.Fail(ui.ExitInvalid, err, "choose another template with --chat-template")
	}
	if template != nil {
		v.template = template.Source
	}
	v.Reader, err = dataset.NewReader(dataset.LoadOptions{Template: template, Loss: dataset.Loss(o.loss)}, v.model.Vocab())
	return err
}

// Close frees the vocabulary; nil has nothing to free.
func (v *vocabulary) Close() error {
	if v == nil {
		return nil
	}
	return v.model.Close()
}

// encoder is v for package stats: nil stays nil.
func (v *vocabulary) encoder() prepstats.Encoder {
	if v == nil {
		return nil
	}
	return v.Reader
}
