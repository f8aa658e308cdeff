package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

// inferenceOptions are the flags of every command that runs a model through
// libllama.
type inferenceOptions struct {
	deviceOptions
	model   string
	lora    []string
	ctx     int
	threads int
	flash   flashFlag
	typeK   string
	typeV   string
}

// cacheTypes are the element types that the cache of keys and values may have.
var cacheTypes = map[string]uint32{
	"f32": llama.TypeF32, "f16": llama.TypeF16, "bf16": llama.TypeBF16, "q8_0": llama.TypeQ8_0,
}

// defaultContext caps the context when none is asked for, so that a model
// trained on 128k tokens does not take gigabytes for a one-line prompt.
const defaultContext = 4096

func (o *inferenceOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&o.model, "model", "m", "", "GGUF file of the model (the first shard when it is split)")
	flags.StringSliceVar(&o.lora, "lora", nil, "LoRA adapters to apply, each FILE or FILE:SCALE; a run's folder stands for its best adapter")
	flags.IntVarP(&o.ctx, "ctx-size", "c", 0, fmt.Sprintf("context in tokens (0: what the model was trained with, at most %d)", defaultContext))
	o.addComputeFlags(flags)
	names := []string{"f32", "f16", "bf16", "q8_0"}
	enumVar(flags, &o.typeK, "cache-type-k", "f32", names, "type of cached keys")
	enumVar(flags, &o.typeV, "cache-type-v", "f32", names, "type of cached values")
}

func (o *inferenceOptions) addComputeFlags(flags *pflag.FlagSet) {
	flags.IntVarP(&o.threads, "threads", "t", 0, "CPU threads (0: all)")
	o.deviceOptions.addFlags(flags)
	o.flash.addFlag(flags, llama.FlashOff)
}

// session is a loaded model with its adapters.
type session struct {
	device   computeDevice
	model    *llama.Model
	adapters []llama.AdapterScale
	options  inferenceOptions
}

// open loads the model and its adapters; the caller closes the session.
func (o inferenceOptions) open(ctx context.Context, to *ui.Streams) (*session, error) {
	specs, err := parseLoRA(o.lora)
	if err != nil {
		return nil, err
	}
	for _, spec := range specs {
		spec.tell(to)
	}
	if o.typeV == "q8_0" && o.flash.FlashAttn == llama.FlashOff {
		return nil, ui.Fail(ui.ExitUsage, errors.New("--cache-type-v q8_0 needs --flash-attn"), "add -fa on, or leave --cache-type-v out")
	}
	if err := useLoRA(checkModel(o.model, specs), o.model); err != nil {
		return nil, err
	}
	logLlama(ctx)
	device, err := o.deviceOptions.open(to)
	if err != nil {
		return nil, err
	}
	return o.load(device, specs)
}

// load opens a session on files that were looked into.
func (o inferenceOptions) load(device computeDevice, specs []loraSpec) (*session, error) {
	model, err := llama.Load(o.model, llama.LoadOptions{MMap: true, Device: device.gpu.Name, GPULayers: device.gpuLayers})
	if err != nil {
		return nil, modelError(err)
	}
	s := &session{device: device, model: model, options: o}
	for _, spec := range specs {
		adapter, err := model.LoadAdapter(spec.path)
		if err != nil {
			return nil, errors.Join(modelError(err), s.close())
		}
		s.adapters = append(s.adapters, llama.AdapterScale{Adapter: adapter, Scale: spec.scale})
	}
	return s, nil
}

// warnContext tells of a context in which the model gets worse.
func (s *session) warnContext(to *ui.Streams) {
	if trained := s.model.TrainedContext(); trained > 0 && s.options.ctx > trained {
		to.Warnf("the model was made for %d tokens: with --ctx-size %d it may ramble beyond them", trained, s.options.ctx)
	}
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
		Ctx: size, Threads: o.threads, FlashAttn: o.flash.FlashAttn,
		TypeK: cacheTypes[o.typeK], TypeV: cacheTypes[o.typeV],
	}
}

func (s *session) close() error {
	var errs []error
	for _, a := range s.adapters {
		errs = append(errs, a.Adapter.Close())
	}
	return errors.Join(append(errs, s.model.Close())...)
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
	// ggml's last words before it ends the process come this way alone
	ggml.SetLog(func(level int, text string) {
		log.WithLevel(levels[llama.Level(level)]).Str("from", "ggml").Msg(text)
	})
}
