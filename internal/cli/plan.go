package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/newmodel"
	"github.com/qlora/qlora/internal/ui"
)

const planLong = `Plan says what memory a training run takes of a GPU, without training and
without loading the model: it reads the header of the file, and needs no GPU.
It prints the parts, what was chosen to stay within the budget, and what else
would fit into it: the longest rows and the largest micro-batches.

The choices are those of train, in this order: keep every activation; recompute
them block by block; leave as few layers as need be in host memory, from where
they pass through the GPU; compute fewer rows at a time. The figures are those
of 'nvidia-smi' for the process. Without --vram-budget the budget is what the GPU
has free; where there is no GPU the need alone is printed, for bf16. With
--device cpu it is the plan of a run on the CPU.`

const planExample = `  qlora plan -m model.gguf -c 4096 --micro-batch-size 2 --rank 16 --vram-budget 24GiB
  qlora plan --like qwen2.5-32b --type q4_k_m -c 2048 --vram-budget 11GiB
  qlora plan -m model.gguf --vram-budget 80% --json`

// planSettings are the settings of a run that decide what memory it takes.
var planSettings = []string{"model", "ctx-size", "micro-batch-size", "grad-accum", "method", "rank", "dropout", "target", "recompute",
	"threads", "device", "n-gpu-layers", "vram-budget", "precision"}

const planType = "q4_k_m" // of --like

type planOptions struct {
	settings []config.Setting
	config   string
	like     string
	kind     string
}

func newPlanCmd(s *ui.Streams) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:     "plan {-m model.gguf | --like NAME} [flags]",
		Short:   "say what memory a training run takes, and what fits",
		Long:    planLong + exitStatus(ui.ExitInvalid, ui.ExitDevice),
		Example: planExample,
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return o.run(s) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	addSettingFlags(flags, &o.settings, planSettings...)
	flags.StringVar(&o.config, "config", "", "YAML `file` of settings; flags win over it")
	flags.StringVar(&o.like, "like", "", "published model to plan for instead of a file: "+strings.Join(newmodel.PresetNames(), ", "))
	enumVar(flags, &o.kind, "type", "", newmodel.StorageNames(), "type of the matrices of --like, by default "+planType)
	return cmd
}

// planned is a run as far as its memory goes.
type planned struct {
	r      config.Run
	f      *gguf.File
	length int // tokens of a row
	budget int64
	onGPU  bool
	where  string // it would compute, for people
	device string // the same as --device names it, without a number where no device here is meant
	asked  engine.Options
	rows   rowChoice
	memory engine.Plan
}

func (o planOptions) run(s *ui.Streams) (err error) {
	p := &planned{}
	if p.r, err = o.resolve(); err != nil {
		return ui.Fail(ui.ExitUsage, err, "see 'qlora plan --help' for the settings")
	}
	if p.f, err = o.header(p.r.Model); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.f.Close()) }()
	if err := p.place(s); err != nil {
		return err
	}
	p.length = contextLength(p.f, p.r, s)
	p.asked = engineOptions(p.r, computeDevice{}, p.length)
	p.asked.Budget = p.budget
	p.rows = rowChoice{rows: p.r.MicroBatchSize, accum: p.r.GradAccum}
	return p.tell(s)
}

// resolve lays the settings over each other; a published model stands for the file.
func (o planOptions) resolve() (config.Run, error) {
	r, err := config.ResolveRun(o.config, config.OSEnv, o.settings)
	if err != nil {
		return r, err
	}
	switch {
	case o.like != "" && r.Model != "":
		return r, errors.New("-m and --like name two models")
	case o.like == "" && o.kind != "":
		return r, errors.New("--type is for --like; a file given with -m has its types")
	case o.like != "":
		r.Model = o.like
	}
	if err := r.CheckStep(); err != nil || r.Method != engine.MethodQLoRA {
		return r, err
	}
	return r, loraConfig(r).Check()
}

func (o planOptions) header(model string) (*gguf.File, error) {
	if o.like == "" {
		f, err := gguf.Open(model)
		if err != nil {
			return nil, fileError(fmt.Errorf("read the model's header: %w", err), model)
		}
		return f, checkTrainFiles(config.Run{Model: model}, f)
	}
	preset, err := newmodel.FindPreset(o.like)
	if err != nil {
		return nil, ui.Fail(ui.ExitUsage, err, "or plan for a file with -m; 'qlora inspect' shows its shape")
	}
	storage, err := newmodel.ParseStorage(cmp.Or(o.kind, planType), false)
	if err != nil {
		return nil, ui.Fail(ui.ExitUsage, err)
	}
	return newmodel.Synthetic{Preset: preset, Storage: storage, Std: newmodel.DefaultStd}.Header()
}

// place decides where the run would compute, and in what: on the GPU that train would take, or on one that is not here.
func (p *planned) place(s *ui.Streams) error {
	o := deviceOptions{device: p.r.Device, gpuLayers: p.r.NGPULayers}
	want, err := o.wanted()
	if err != nil {
		return err
	}
	var d computeDevice
	if want.Kind != config.DeviceCPU {
		if d, _, err = o.find(); exitCode(err) == ui.ExitUsage {
			return err
		}
		p.onGPU = true
	}
	p.where, p.device = d.name(), d.name()
	if p.onGPU && !d.onGPU() {
		seen, _ := readGPUs() // without a driver there is none
		return p.placeElsewhere(seen)
	}
	if p.r.Precision, err = d.precision(p.r.Precision); err != nil {
		return err
	}
	p.budget, err = d.budget(p.r.VRAMBudget)
	return err
}

// placeElsewhere plans for a GPU that this binary cannot use or this machine lacks.
func (p *planned) placeElsewhere(seen []gpu.Device) error {
	p.where, p.device = "a GPU", config.DeviceCUDA
	var d ggml.Device
	if len(seen) > 0 {
		p.where, d.Free, d.Total = seen[0].Name, seen[0].MemFree, seen[0].MemTotal
	}
	if p.r.Precision == config.PrecisionAuto {
		p.r.Precision = "bf16"
	}
	b, err := config.ParseBudget("vram-budget", p.r.VRAMBudget)
	if err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	if b.Share == 0 || d.Total > 0 {
		p.budget = b.Of(int64(d.Total))
		if b.Open() {
			p.budget = engine.FreeBudget(d)
		}
		return nil
	}
	return ui.Fail(ui.ExitDevice, fmt.Errorf("--vram-budget %s is a share of a GPU, and there is none to be used", p.r.VRAMBudget), "give a size, such as --vram-budget 24GiB")
}

// tell prints the plan, and what fits; the error is that nothing does.
func (p *planned) tell(s *ui.Streams) error {
	o, chosen := p.asked, p.rows
	var none *engine.BudgetError
	memory, err := chosen.fit(p.f, &o, p.onGPU)
	if err != nil && !errors.As(err, &none) {
		return invalidInput(fmt.Errorf("plan for %s: %w", p.r.Model, err), prepareHints(p.r, err)...)
	}
	if err == nil {
		chosen.warnFewer(p.rows, s)
	} else {
		chosen.rows, chosen.accum = memory.Rows, chosen.accum*(chosen.rows/memory.Rows)
	}
	p.r.MicroBatchSize, p.r.GradAccum, p.memory = chosen.rows, chosen.accum, memory
	fits, fitErr := p.fits()
	if fitErr != nil {
		return fitErr
	}
	p.print(s, fits)
	if err != nil {
		return ui.Fail(ui.ExitDevice, fmt.Errorf("plan for %s: %w", p.r.Model, err), takeLess, allowMore)
	}
	return s.Event("summary", p.summary(fits))
}

// planSummary is the message "summary".
type planSummary struct {
	Model string `json:"model"`
	trainPlan
	Fits []planFit `json:"fits,omitempty"`
}

func (p *planned) summary(fits []planFit) planSummary {
	m := planSummary{Model: p.r.Model, trainPlan: newTrainPlan(p.r, p.length, p.memory), Fits: fits}
	m.Device, m.BudgetBytes, m.Ranks = p.device, p.budget, 1
	return m
}

func (p *planned) print(s *ui.Streams, fits []planFit) {
	if s.JSON {
		return
	}
	m := p.summary(fits)
	s.Printf("%s on %s in %s: %s of %d x %d tokens a step, rank %d, recompute %s, %d of %s on the device\n", p.r.Model, p.where, p.r.Precision,
		english.Plural(m.GradAccum, "micro-batch", "micro-batches"), m.MicroBatchSize, m.RowTokens, p.r.Rank, m.Recompute,
		m.ResidentLayers, english.Plural(m.Layers, "layer", ""))
	rows := [][]string{{"weights", ui.Size(m.WeightBytes)}, {"trained values", ui.Size(m.AdapterBytes)}, {"gradient and moments", ui.Size(m.OptimiserBytes)},
		{"kept activations", ui.Size(m.ActivationBytes)}, {"workspace", ui.Size(m.WorkspaceBytes)}}
	if p.onGPU {
		rows = append(rows, []string{"CUDA itself", ui.Size(m.RuntimeBytes)})
	}
	if m.SlotBytes > 0 {
		rows = append(rows, []string{"slots for streamed layers", ui.Size(m.SlotBytes)})
	}
	rows = append(rows, []string{"total", ui.Size(m.TotalBytes)})
	if m.BudgetBytes > 0 {
		rows = append(rows, []string{"budget", ui.Size(m.BudgetBytes)})
	}
	if m.StreamedBytes > 0 {
		rows = append(rows, []string{"in host memory", ui.Size(m.StreamedBytes)})
	}
	ui.Table(s.Out, []string{"memory", "size"}, rows)
	printFits(s, p, fits)
}
