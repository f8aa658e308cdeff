package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

// inferenceOptions are the flags of every command that runs a model through
// libllama.
type inferenceOptions struct {
	model     string
	lora      []string
	ctx       int
	threads   int
	gpuLayers int
	flashAttn bool
}

// defaultContext caps the context when none is asked for, so that a model
// trained on 128k tokens does not take gigabytes for a one-line prompt.
const defaultContext = 4096

func (o *inferenceOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&o.model, "model", "m", "", "GGUF file of the model (the first shard when it is split)")
	flags.StringSliceVar(&o.lora, "lora", nil, "LoRA adapters to apply, each FILE or FILE:SCALE")
	flags.IntVarP(&o.ctx, "ctx-size", "c", 0, fmt.Sprintf("context in tokens (0: what the model was trained with, at most %d)", defaultContext))
	o.addDeviceFlags(flags)
}

func (o *inferenceOptions) addDeviceFlags(flags *pflag.FlagSet) {
	flags.IntVarP(&o.threads, "threads", "t", 0, "CPU threads (0: all)")
	flags.IntVar(&o.gpuLayers, "n-gpu-layers", -1, "layers on the GPU; -1: all when there is one")
	flags.BoolVar(&o.flashAttn, "flash-attn", false, "use flash attention")
}

// session is a loaded model with its adapters.
type session struct {
	model    *llama.Model
	adapters []llama.AdapterScale
	options  inferenceOptions
}

// open loads the model and its adapters; the caller closes the session.
func (o inferenceOptions) open(ctx context.Context) (*session, error) {
	specs, err := parseLoRA(o.lora)
	if err != nil {
		return nil, ui.Fail(ui.ExitUsage, err)
	}
	if o.model == "" {
		return nil, ui.Fail(ui.ExitUsage, errors.New("no model given"), "name a GGUF file with -m")
	}
	if err := o.checkGPU(); err != nil {
		return nil, err
	}
	logLlama(ctx)
	model, err := llama.Load(o.model, llama.LoadOptions{MMap: true, GPULayers: o.gpuLayers})
	if err != nil {
		return nil, modelError(err)
	}
	s := &session{model: model, options: o}
	for _, spec := range specs {
		adapter, err := model.LoadAdapter(spec.path)
		if err != nil {
			return nil, errors.Join(modelError(err), s.close())
		}
		s.adapters = append(s.adapters, llama.AdapterScale{Adapter: adapter, Scale: spec.scale})
	}
	return s, nil
}

// checkGPU refuses layers on a GPU that is not there.
func (o inferenceOptions) checkGPU() error {
	if o.gpuLayers <= 0 || llama.SupportsGPU() {
		return nil
	}
	return ui.Fail(ui.ExitDevice, errors.New("--n-gpu-layers needs a GPU backend and none is loaded"),
		"leave --n-gpu-layers out to run on the CPU", "run 'qlora doctor' to see what this machine offers")
}

// newContext makes a context for one sequence with the adapters applied.
func (s *session) newContext() (*llama.Context, error) {
	c, err := s.model.NewContext(s.options.contextOptions(s.model))
	if err != nil {
		return nil, modelError(err)
	}
	if err := c.SetAdapters(s.adapters); err != nil {
		return nil, errors.Join(modelError(err), c.Close())
	}
	return c, nil
}

func (o inferenceOptions) contextOptions(m *llama.Model) llama.ContextOptions {
	size := o.ctx
	if size <= 0 {
		size = min(m.TrainedContext(), defaultContext)
	}
	return llama.ContextOptions{
		Ctx: size, Threads: o.threads, FlashAttn: o.flashAttn,
		TypeK: llama.TypeF16, TypeV: llama.TypeF16,
	}
}

func (s *session) close() error {
	var errs []error
	for _, a := range s.adapters {
		errs = append(errs, a.Adapter.Close())
	}
	return errors.Join(append(errs, s.model.Close())...)
}

// loraSpec is one adapter of a --lora flag.
type loraSpec struct {
	path  string
	scale float32
}

// parseLoRA reads FILE or FILE:SCALE. What follows the last colon is part of
// the name unless it is a number.
func parseLoRA(args []string) ([]loraSpec, error) {
	var specs []loraSpec
	for _, arg := range args {
		spec := loraSpec{path: arg, scale: 1}
		if at := strings.LastIndexByte(arg, ':'); at >= 0 {
			if scale, err := strconv.ParseFloat(arg[at+1:], 32); err == nil {
				spec = loraSpec{path: arg[:at], scale: float32(scale)}
			}
		}
		if spec.path == "" {
			return nil, fmt.Errorf("--lora %q names no file", arg)
		}
		if s := float64(spec.scale); math.IsNaN(s) || math.IsInf(s, 0) {
			return nil, fmt.Errorf("--lora %q: the scale is not a finite number", arg)
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// modelError gives an error of internal/llama its exit code and hints.
func modelError(err error) error {
	var file *llama.FileError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &file):
		return ui.Fail(ui.ExitInvalid, err, fileHint(file))
	case errors.Is(err, llama.ErrNoMemory):
		return ui.Fail(ui.ExitDevice, err, "ask for a smaller context with --ctx-size")
	case errors.Is(err, llama.ErrContextFull):
		return ui.Fail(ui.ExitFailure, err, "ask for a larger context with --ctx-size")
	default:
		return err
	}
}

func fileHint(file *llama.FileError) string {
	if file.Reason == "no such file" {
		return fmt.Sprintf("list what is there with 'ls %s'", filepath.Dir(file.Path))
	}
	return fmt.Sprintf("look into the file with 'qlora inspect %s'", file.Path)
}

// logLlama sends the log of libllama and ggml to the logger of ctx. They are
// talkative, so each level goes one step down: their information is our
// debugging, their warnings are our information.
func logLlama(ctx context.Context) {
	log := zerolog.Ctx(ctx)
	levels := map[llama.Level]zerolog.Level{
		llama.LevelDebug: zerolog.TraceLevel, llama.LevelInfo: zerolog.DebugLevel,
		llama.LevelWarn: zerolog.InfoLevel, llama.LevelError: zerolog.WarnLevel,
	}
	least := llama.LevelError
	for level, ours := range levels {
		if ours >= log.GetLevel() && level < least {
			least = level
		}
	}
	llama.SetLog(least, func(level llama.Level, line string) {
		log.WithLevel(levels[level]).Str("from", "llama.cpp").Msg(line)
	})
}
