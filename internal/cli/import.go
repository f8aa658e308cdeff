package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover/peft"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/ui"
)

const importLong = `Import turns an adapter of the Python library PEFT into the GGUF file that
llama.cpp, Ollama and the commands here load. It takes the folder with
adapter_config.json and adapter_model.safetensors, and the GGUF file of the model
that the adapter was trained on, whose names and shapes it must fit.

Rank stabilisation (rslora), rank_pattern and alpha_pattern are kept. What a GGUF
adapter cannot say is refused by name: DoRA, trained biases, modules_to_save,
adapters of embeddings, and starts that change the base's weights (PiSSA, OLoRA).`

const importExample = `  qlora import peft-adapter --base base.gguf --out adapter.gguf
  qlora import peft-adapter -m base.gguf -o adapter.gguf --json`

type importOptions struct {
	base, out, name string
}

func newImportCmd(s *ui.Streams) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:     "import PEFTDIR --base base.gguf --out adapter.gguf",
		Short:   "turn a PEFT adapter into a GGUF one",
		Long:    importLong + exitStatus(ui.ExitInvalid),
		Example: importExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || o.base == "" || o.out == "" {
				return asUsage(cmd, errors.New("name the PEFT folder, the base with --base and the file to write with --out"))
			}
			return o.run(args[0], s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *importOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVarP(&o.base, "base", "m", "", "GGUF file of the model that the adapter was trained on")
	flags.StringVarP(&o.out, "out", "o", "", "GGUF file to write; it must not exist")
	flags.StringVar(&o.name, "name", "", "name of the adapter, in its metadata (default: the folder's)")
}

// importSummary ends the JSON output of import.
type importSummary struct {
	Input     string  `json:"input"`
	Base      string  `json:"base"`
	BaseName  string  `json:"base_model_name_or_path"` // as the adapter says
	Output    string  `json:"output"`
	Tensors   int     `json:"tensors"` // adapted ones of the base
	Rank      int     `json:"rank"`
	Alpha     float64 `json:"alpha"` // as stored: the scale is alpha / rank
	RSLoRA    bool    `json:"rslora"`
	Reordered int     `json:"reordered"` // q and k whose rows were put in GGUF's order
}

func (o *importOptions) run(dir string, s *ui.Streams) (err error) {
	if exists(o.out) {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("%s exists", o.out), "name a new file with --out; nothing is overwritten")
	}
	base, err := gguf.Open(o.base)
	if err != nil {
		return openError(err, o.base)
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	if kind, _ := base.String("general.type"); kind == "adapter" {
		return fileError(fmt.Errorf("open the base: %s %w", o.base, errIsAdapter), o.base)
	}
	dir = peftFolder(dir, s)
	a, c, err := peft.Import(dir, base)
	if err != nil {
		return importError(err, dir)
	}
	a.Name = o.name
	if a.Name == "" {
		a.Name = filepath.Base(filepath.Clean(dir))
	}
	if err := makeFolder(o.out); err != nil {
		return err
	}
	if err := lora.WriteAdapter(o.out, a, base); err != nil {
		return err
	}
	sum := importSummary{Input: dir, Base: o.base, BaseName: c.Base, Output: o.out, Tensors: len(a.Pairs), Rank: c.Rank,
		Alpha: a.Alpha, RSLoRA: c.RSLoRA, Reordered: peft.Reordered(a)}
	s.Printf("%s: %s adapted, rank %d, alpha %g\n", o.out, english.Plural(sum.Tensors, "tensor", ""), sum.Rank, sum.Alpha)
	s.Infof("the adapter says that it was trained on %s\n", c.Base)
	return s.Event("summary", sum)
}

// peftFolder is the folder of a file that lies in one, or path itself.
func peftFolder(path string, s *ui.Streams) string {
	name := filepath.Base(path)
	if isFolder(path) || name != peft.TensorFile && name != peft.ConfigFile {
		return path
	}
	s.Infof("qlora: taking the folder of %s: the adapter is in two files\n", path)
	return filepath.Dir(path)
}

func importError(err error, dir string) error {
	var what *peft.UnsupportedError
	var mismatch *lora.MismatchError
	hint := "name a PEFT folder: it holds adapter_config.json and adapter_model.safetensors"
	switch {
	case errors.As(err, &what):
		hint = "merge it into its base in Python (merge_and_unload) and convert the whole model"
	case errors.As(err, &mismatch):
		hint = "name the GGUF of the model that the adapter was trained on with --base"
	case errors.Is(err, peft.ErrPickle):
		hint = "load and save it again in Python: save_pretrained writes safetensors"
	case !errors.Is(err, fs.ErrNotExist) && isFolder(dir):
		hint = "copy or download " + dir + " again, or train on a base that fits"
	}
	return ui.Fail(ui.ExitInvalid, err, hint)
}
