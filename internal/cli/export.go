package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/handover"
	"github.com/qlora/qlora/internal/handover/card"
	"github.com/qlora/qlora/internal/handover/ollama"
	"github.com/qlora/qlora/internal/handover/safetensors"
	"github.com/qlora/qlora/internal/ui"
)

const exportLong = `Export writes a folder that another program takes, with a model card (README.md)
in it. What it exports is an adapter, a merged model, or the folder of a run: then
the weights of its best evaluation, as 'qlora runs' shows them, else the last.

--to ollama writes a Modelfile beside the files that it names: the base and the
adapter, or the merged model. The prompt template is that of the model's family
(Qwen 2.5 and 3, Llama 3, Mistral, Gemma, ChatML such as SmolLM2), and it is
tried against the template in the model's file, on plain chats and on chats with
tools: a difference is told, and so are tools that are left out. Then
'ollama create NAME -f DIR/Modelfile' takes it.

--to peft writes adapter_config.json and adapter_model.safetensors, for PEFT in
Python and all that read its adapters. Rows of q and k, which GGUF files of the
llama architecture hold in another order, are put back.

The base of an adapter is named with --base, or by the settings in its run's
folder. The output folder must be new or empty; it appears whole or not at all.`

const exportExample = `  qlora export --to ollama outputs/mine/adapter.gguf --base base.gguf --out mine-ollama
  qlora export --to ollama merged.gguf --out mine-ollama --link --system "You write Go."
  qlora export --to peft outputs/mine --out mine-peft --base-name Qwen/Qwen2.5-Coder-7B-Instruct`

// dtypes are the spellings of --dtype with those of safetensors.
var dtypes = map[string]string{"f32": safetensors.F32, "f16": safetensors.F16, "bf16": safetensors.BF16}

type exportOptions struct {
	to, base, out string

	link        bool
	system      string
	noSystem    bool
	template    string
	stop        []string
	numCtx      int
	temperature float64
	license     string

	baseName string
	dtype    string
	tempSet  bool
}

func newExportCmd(s *ui.Streams) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:     "export --to {ollama|peft} ADAPTER|MODEL|RUN --out DIR",
		Short:   "hand an adapter or a model over to Ollama or PEFT",
		Long:    exportLong + exitStatus(ui.ExitInvalid, ui.ExitInterrupted),
		Example: exportExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.tempSet = cmd.Flags().Changed("temperature")
			if err := o.check(args); err != nil {
				return asUsage(cmd, err)
			}
			if err := o.refuseForeign(cmd.Flags()); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), args[0], s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *exportOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	enumVar(flags, &o.to, "to", "", []string{"ollama", "peft"}, "what takes it")
	flags.StringVarP(&o.base, "base", "m", "", "GGUF file that the adapter was trained on (default: as the run's settings say)")
	flags.StringVarP(&o.out, "out", "o", "", "folder to write")
	flags.BoolVar(&o.link, "link", false, "ollama: link the GGUF files into the folder instead of copying them")
	flags.StringVar(&o.system, "system", "", "ollama: system message where a chat brings none (default: the model's own, if it has one)")
	flags.BoolVar(&o.noSystem, "no-system", false, "ollama: write no system message")
	flags.StringVar(&o.template, "template", "", "ollama: `file` of a prompt template in Go's template language")
	flags.StringArrayVar(&o.stop, "stop", nil, "ollama: text that ends an answer (repeatable; default: those of the model's family)")
	flags.IntVar(&o.numCtx, "num-ctx", 0, "ollama: context in tokens (0: what the model was made for, at most 8192)")
	flags.Float64Var(&o.temperature, "temperature", defaultTemperature, "ollama: temperature of sampling")
	flags.StringVar(&o.license, "license", "", "ollama: licence, a `file` or its text (default: what the model's file says)")
	flags.StringVar(&o.baseName, "base-name", "", "peft: name of the base at the hub, or a path, that PEFT loads")
	enumVar(flags, &o.dtype, "dtype", "f32", []string{"f32", "f16", "bf16"}, "peft: element type of the tensors")
}

func (o *exportOptions) check(args []string) error {
	switch {
	case o.to == "":
		return errors.New("name what is to take it: --to ollama or --to peft")
	case len(args) == 0:
		return errors.New("name an adapter, a model or the folder of a run")
	case o.out == "":
		return errors.New("name the folder to write with --out")
	case o.numCtx < 0 || o.temperature < 0:
		return errors.New("--num-ctx and --temperature must not be negative")
	case slices.Contains(o.stop, ""):
		return errors.New("--stop is empty: every answer would end before it begins")
	case o.system != "" && o.noSystem:
		return errors.New("--system and --no-system exclude each other")
	}
	return nil
}

// exportFlags are the flags that mean something to one target alone.
var exportFlags = map[string][]string{
	"ollama": {"link", "system", "no-system", "template", "stop", "num-ctx", "temperature", "license"},
	"peft":   {"base-name", "dtype"},
}

// refuseForeign finds flags that would change nothing.
func (o *exportOptions) refuseForeign(flags *pflag.FlagSet) error {
	for target, names := range exportFlags {
		for _, name := range names {
			if target != o.to && flags.Changed(name) {
				return fmt.Errorf("--%s is for --to %s and changes nothing with --to %s: leave it out", name, target, o.to)
			}
		}
	}
	return nil
}

// exportSummary ends the JSON output of export.
type exportSummary struct {
	To       string   `json:"to"`
	Input    string   `json:"input"`
	Base     string   `json:"base,omitempty"` // of an adapter
	Output   string   `json:"output"`
	Files    []string `json:"files"`
	Bytes    int64    `json:"bytes"`
	Linked   bool     `json:"linked"`
	Family   string   `json:"template_family,omitempty"`
	Tools    *bool    `json:"template_tools,omitempty"` // of ollama: the template writes tools and calls
	Warnings []string `json:"warnings,omitempty"`
}

func (o *exportOptions) run(ctx context.Context, path string, s *ui.Streams) (err error) {
	in, err := openExport(path, o.base, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.close()) }()
	folder, err := handover.NewFolder(o.out)
	if errors.Is(err, handover.ErrOccupied) {
		return ui.Fail(ui.ExitUsage, err, "name a new folder with --out; nothing is overwritten")
	}
	if err != nil {
		return err
	}
	defer folder.Abort()
	sum := &exportSummary{To: o.to, Input: in.path, Output: o.out, Linked: o.link}
	if in.adapter != nil {
		sum.Base = in.base.Paths()[0]
	}
	switch o.to {
	case string(card.Ollama):
		err = o.toOllama(ctx, folder, in, sum, s)
	default:
		err = o.toPEFT(folder, in, sum)
	}
	if errors.Is(err, context.Canceled) {
		return ui.Fail(ui.ExitInterrupted, fmt.Errorf("interrupted; nothing was written to %s", o.out))
	}
	if err != nil {
		return err
	}
	return o.finish(folder, sum, s)
}

// finish puts the folder in its place and tells of it.
func (o *exportOptions) finish(folder *handover.Folder, sum *exportSummary, s *ui.Streams) error {
	for _, name := range sum.Files {
		sum.Bytes += fileSizes(folder.Path(name))
	}
	if err := folder.Commit(); err != nil {
		return err
	}
	for _, w := range sum.Warnings {
		s.Warnf("%s", w)
	}
	s.Printf("%s: %s\n", o.out, strings.Join(sum.Files, ", "))
	if o.to == string(card.Ollama) {
		s.Infof("next: ollama create NAME -f %s/Modelfile\n", o.out)
	}
	return s.Event("summary", sum)
}

func (sum *exportSummary) warn(format string, args ...any) {
	sum.Warnings = append(sum.Warnings, fmt.Sprintf(format, args...))
}

// writeCardInto adds the card to a folder.
func writeCardInto(folder *handover.Folder, c *card.Card, sum *exportSummary) error {
	text, err := c.Text()
	if err != nil {
		return err
	}
	sum.Files = append(sum.Files, cardFile)
	return folder.Write(cardFile, []byte(text))
}

const modelfileName = "Modelfile"

func writeModelfile(folder *handover.Folder, m *ollama.Modelfile, sum *exportSummary) error {
	text, err := m.Text()
	if err != nil {
		return ui.Fail(ui.ExitUsage, err, "change that text with --system, --template or --license, or rename the file")
	}
	sum.Files = append(sum.Files, modelfileName)
	return folder.Write(modelfileName, []byte(text))
}
