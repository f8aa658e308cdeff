package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/newmodel"
	"github.com/qlora/qlora/internal/perf"
	"github.com/qlora/qlora/internal/ui"
)

// perfModels are the flags that say what is measured, and in what memory.
type perfModels struct {
	models     []string // paths
	names      []string // sizes of published models, or paths
	dir        string
	quant      string
	vramBudget string
	ramBudget  string
}

const (
	quant4    = "4bit"
	quant8    = "8bit"
	quantAuto = "auto"
)

// quantTypes are the types that count as one of the widths, the best first; the
// first is what is written where there is no file.
var quantTypes = map[string][]string{
	quant4: {"q4_k_m", "q4_k_s", "iq4_xs", "q4_1", "q4_0", "iq4_nl"},
	quant8: {"q8_0"},
}

func (o *perfModels) addFlags(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&o.models, "model", "m", nil, "GGUF files to measure")
	flags.StringSliceVar(&o.names, "models", nil, "sizes to measure, such as 7b,14b,32b, or files")
	flags.StringVar(&o.dir, "models-dir", filepath.Join("data", "models"), "folder of the models that --models finds or makes")
	enumVar(flags, &o.quant, "quant", quantAuto, []string{quant4, quant8, quantAuto}, "width of the weights of --models; with --train auto is 4bit")
	flags.StringVar(&o.vramBudget, "vram-budget", "", vramBudgetUsage)
	flags.StringVar(&o.ramBudget, "ram-budget", "", "`size` of the machine's memory to take at the most, such as 32GiB or 50% (default what is available)")
}

// moreModels takes what follows --models without a comma.
func (o *perfModels) moreModels(cmd *cobra.Command, args []string) error {
	if len(o.names) == 0 {
		return cobra.NoArgs(cmd, args)
	}
	return nil
}

// askedHost is --ram-budget in bytes; 0 when it was not given.
func (o *perfModels) askedHost() (int64, error) {
	b, err := config.ParseBudget("ram-budget", o.ramBudget)
	if err != nil {
		return 0, ui.Fail(ui.ExitUsage, err)
	}
	if b.Open() {
		return 0, nil
	}
	total, _, err := readMemory(memoryFiles)
	return b.Of(int64(total)), err
}

// budget is the memory that a model may take to run.
func (o *perfModels) budget(d computeDevice) (b perf.Budget, err error) {
	if b.Device, err = d.budget(o.vramBudget); err != nil {
		return b, err
	}
	if b.Host, err = o.askedHost(); err != nil || b.Host > 0 {
		return b, err
	}
	_, available, err := readMemory(memoryFiles)
	b.Host = int64(available)
	return b, err
}

// shape is what a name stands for: a file, or a size in types of one width, the
// best first.
type shape struct {
	path   string
	preset newmodel.Preset
	kinds  []string
}

// fitsFunc finds out before a model is there whether it can be measured.
type fitsFunc func(p newmodel.Preset, width string) error

// find turns names into files. All names and files are looked at before the
// first model is written, which may take many gigabytes.
func (o *perfOptions) find(ctx context.Context, s *ui.Streams, fits fitsFunc) error {
	var shapes []shape
	files := slices.Clone(o.models)
	for _, name := range o.names {
		wanted, err := o.settle(name, fits)
		if err != nil {
			return err
		}
		shapes = append(shapes, wanted)
		if wanted.path != "" {
			files = append(files, wanted.path)
		}
	}
	for _, file := range files {
		if err := checkModel(file, nil); err != nil {
			return err
		}
	}
	for _, wanted := range shapes {
		path, err := o.fileOf(ctx, s, wanted)
		if err != nil {
			return err
		}
		o.models = append(o.models, path)
	}
	o.names = nil
	return nil
}

// settle finds out what a name stands for and whether that can be measured.
func (o *perfOptions) settle(name string, fits fitsFunc) (shape, error) {
	if strings.EqualFold(filepath.Ext(name), ".gguf") {
		return shape{path: name}, nil
	}
	p, err := newmodel.FindPreset(name)
	if err != nil {
		return shape{}, ui.Fail(ui.ExitUsage, err, "--models also takes GGUF files")
	}
	width, err := o.width(p, fits)
	return shape{preset: p, kinds: quantTypes[width]}, err
}

// fileOf is the file of a shape, which is written where there is none.
func (o *perfOptions) fileOf(ctx context.Context, s *ui.Streams, wanted shape) (string, error) {
	if wanted.path != "" {
		return wanted.path, nil
	}
	if path := findShape(o.dir, wanted.preset, wanted.kinds); path != "" {
		return path, nil
	}
	return o.makeShape(ctx, s, wanted.preset, wanted.kinds[0])
}

// width settles --quant: the first width that fits. The error is that p fits in none.
func (o *perfOptions) width(p newmodel.Preset, fits fitsFunc) (width string, err error) {
	widths := map[string][]string{quant4: {quant4}, quant8: {quant8}, quantAuto: {quant8, quant4}}[o.quant]
	if o.train.on {
		widths = widths[len(widths)-1:]
	}
	for _, width = range widths {
		if err = fits(p, width); err == nil {
			break
		}
	}
	return width, err
}

// runFits is whether p runs within b. A width that leaves layers off the GPU is
// for the last resort.
func (o *perfOptions) runFits(b perf.Budget) fitsFunc {
	return func(p newmodel.Preset, width string) error {
		f, err := headerOf(p, quantTypes[width][0])
		if err != nil {
			return err
		}
		fit, err := perf.PlanOffload(f, o.cells(), b)
		if err == nil && b.Device > 0 && fit.Layers < fit.Of && width == quant8 && o.quant == quantAuto {
			return errPartly
		}
		return o.overBudget(p.Name+" in "+width, width, b, err)
	}
}

// errPartly asks for a width in which more layers go to the GPU.
var errPartly = errors.New("not all layers fit the GPU")

// headerOf is the header of a model that need not be there yet.
func headerOf(p newmodel.Preset, kind string) (*gguf.File, error) {
	c, err := syntheticOf(p, kind)
	if err != nil {
		return nil, err
	}
	return c.Header()
}

// overBudget adds what to do where width, if known, has a smaller one.
func (o *perfOptions) overBudget(what, width string, b perf.Budget, err error) error {
	var none *perf.BudgetError
	if !errors.As(err, &none) {
		return err
	}
	hints := []string{"choose a smaller model, or raise --ram-budget"}
	if width == quant8 {
		hints[0] = "choose a smaller model or --quant 4bit, or raise --ram-budget"
	}
	if b.Device > 0 {
		hints = append(hints, "-ngl says how many layers go to the GPU, whatever the budget")
	}
	return ui.Fail(ui.ExitDevice, fmt.Errorf("measure %s: %w", what, err), hints...)
}

// cells is the context that the tests need.
func (o *perfOptions) cells() int { return max(o.Prompt, o.Generate, perf.LeastContext) }

func syntheticOf(p newmodel.Preset, kind string) (newmodel.Synthetic, error) {
	storage, err := newmodel.ParseStorage(kind, false)
	return newmodel.Synthetic{Preset: p, Storage: storage, Std: newmodel.DefaultStd, Seed: 1}, err
}

// findShape looks in dir for a file of p's shape in one of the types, the first
// of them that there is; of one type a trained model is before a made-up one.
func findShape(dir string, p newmodel.Preset, kinds []string) string {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.gguf")) // the pattern is well-formed
	best, bestRank := "", 2*len(kinds)
	for _, path := range paths {
		f, err := gguf.Open(path)
		if err != nil {
			continue // a file that is no model is nobody's choice
		}
		if rank := shapeRank(f, p, kinds); rank >= 0 && rank < bestRank {
			best, bestRank = path, rank
		}
		_ = f.Close() // read only
	}
	return best
}

// shapeRank is twice the place of f's type in kinds, and one more where its
// weights are random; -1 where it has another shape.
func shapeRank(f *gguf.File, p newmodel.Preset, kinds []string) int {
	for key, want := range map[string]int{"block_count": p.Shape.Layers, "embedding_length": p.Shape.Embd, "feed_forward_length": p.Shape.FFN} {
		if got, _ := f.Uint(p.Arch + "." + key); got != uint64(want) {
			return -1
		}
	}
	fileType, _ := f.Uint("general.file_type")
	name, _ := f.String("general.name")
	place := slices.IndexFunc(kinds, func(kind string) bool {
		storage, err := newmodel.ParseStorage(kind, false)
		return err == nil && uint64(storage.FileType()) == fileType
	})
	if place < 0 {
		return -1
	}
	return 2*place + oneIf(strings.HasSuffix(name, newmodel.RandomWeights))
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// makeShape writes a model with random weights and keeps it.
func (o *perfOptions) makeShape(ctx context.Context, s *ui.Streams, p newmodel.Preset, kind string) (string, error) {
	c, err := syntheticOf(p, kind)
	if err != nil {
		return "", err
	}
	if c.Vocabulary, err = (&likeOptions{}).vocabulary(p.Vocab); err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of models: %w", err)
	}
	f, err := c.Header()
	if err != nil {
		return "", err
	}
	var need int64
	for _, t := range f.Tensors() {
		need += t.Size
	}
	path := filepath.Join(o.dir, p.Name+"-"+kind+".gguf")
	if exists(path) {
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("%s is there, and is no %s of %s", path, kind, p.Name),
			"measure that file with -m, rename it, or choose another folder with --models-dir")
	}
	if err := checkSpace(o.dir, need, path, "free some space, or choose another folder with --models-dir"); err != nil {
		return "", err
	}
	s.Infof("qlora: no %s of %s in %s: writing %s with random weights, %s, to be kept\n", kind, p.Name, o.dir, path, ui.Size(need))
	_, err = writeSynthetic(ctx, s, path, c)
	return path, err
}

// place is m with as many layers on the GPU as the budget lets it, unless -ngl
// says how many.
func (o *perfOptions) place(s *ui.Streams, path string, m perf.Options, b perf.Budget) (perf.Options, error) {
	if m.Device != "" && m.GPULayers >= 0 {
		return m, nil
	}
	f, err := gguf.Open(path)
	if err != nil {
		return m, fileError(fmt.Errorf("load model: %w", err), path)
	}
	fit, err := perf.PlanOffload(f, o.cells(), b)
	err = errors.Join(err, f.Close())
	var none *perf.BudgetError
	switch {
	case errors.As(err, &none):
		return m, o.overBudget(path, "", b, err)
	case err != nil:
		s.Warnf("%v: where its layers go was not planned", err)
		return m, nil
	case m.Device == "":
		return m, nil
	}
	s.Infof("qlora: %s: %d of %s on the GPU, %s planned there and %s in the machine's memory\n", filepath.Base(path), fit.Layers, english.Plural(fit.Of, "layer", ""), ui.Size(fit.Device), ui.Size(fit.Host))
	if m.GPULayers = fit.Layers; fit.Layers == 0 {
		m.Device = ""
	}
	return m, nil
}

// trainedOn is how many tokens a model was made for; 0 when its header does not
// say.
func trainedOn(path string) (int, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return 0, err
	}
	return contextOf(f), f.Close()
}

func contextOf(f *gguf.File) int {
	arch, _ := f.String("general.architecture")
	n, _ := f.Uint(arch + ".context_length")
	return int(n)
}
