package engine

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/model"
)

// Engine trains one model at one micro-batch shape. It is not safe for concurrent use.
type Engine struct {
	o       Options
	p       *model.Params
	n       int64 // tokens of a micro-batch
	plan    Plan
	host    bool // computes on the processor, where weights are mapped from the file
	backend *ggml.Backend
	act     ggml.Type // of activations; the residual stream and everything trained stay F32
	w       *model.Weights
	t       *trainable
	acts    *activations
	views   map[columnRange]*ggml.Tensor
	biases  *ggml.Store // of groups of linears, on a device
	blocks  []block
	shape   ggml.AttentionShape
	opt     optimiser
	scale   lossScale
	g       graphs
}

// New binds f, which must stay open until Close, allocates what PlanFor says and builds the graphs for micro-batches of
// o.Rows x o.Length tokens. The error is a *BudgetError where nothing fits o.Budget, and wraps ggml.ErrNoMemory where the
// device turned out to have less.
func New(f *gguf.File, o Options) (*Engine, error) {
	e, err := sketch(f, o, o.Module == nil)
	if err != nil {
		return nil, err
	}
	if err := e.open(f); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// sketch is an engine as far as the header of f decides it: shapes and trained values, without memory for any.
func sketch(f *gguf.File, o Options, host bool) (*Engine, error) {
	if o.Threads == 0 {
		o.Threads = runtime.NumCPU()
	}
	if err := o.check(host); err != nil {
		return nil, err
	}
	p, err := model.Read(f)
	if err != nil {
		return nil, err
	}
	if err := model.Check(f, p); err != nil {
		return nil, err
	}
	e := &Engine{o: o, p: p, n: int64(o.Rows) * int64(o.Length), host: host, act: o.Activation, scale: newLossScale(o.Activation), views: map[columnRange]*ggml.Tensor{}}
	e.shape = ggml.AttentionShape{HeadDim: p.HeadDim, Heads: p.Heads, KVHeads: p.KVHeads, Scale: attentionScale(p.HeadDim)}
	params, err := trainedParams(f, o)
	if err != nil {
		return nil, err
	}
	e.t = layTrainable(params)
	return e, nil
}

func (e *Engine) open(f *gguf.File) (err error) {
	if !e.host && e.o.Budget == 0 {
		e.o.Budget = FreeBudget(e.o.Module.Device(e.o.Device))
	}
	if err := e.makePlan(f); err != nil {
		return err
	}
	if e.backend, err = openBackend(e.o); err != nil {
		return err
	}
	if e.w, err = model.Bind(f, e.p, e.backend, e.plan.Layers-e.plan.Resident); err != nil {
		return err
	}
	if err := e.t.alloc(e.backend); err != nil {
		return err
	}
	if err := e.fillTrainable(f); err != nil {
		return err
	}
	if err := e.allocate(); err != nil {
		return err
	}
	if err := e.bindBlocks(); err != nil {
		return err
	}
	return e.buildGraphs()
}

// bindBlocks joins// bindBlocks joins weights, adapters and gradients to the groups that the graphs are built from.
func (e *Engine) bindBlocks() (err error) {
	if e.biases, err = ggml.NewStore(groups*len(e.w.Blocks) + 1); err != nil {
		return err
	}
	e.acts.head.norm, e.acts.head.out = e.norm(&e.w.OutputNorm), e.group(e.w.Output)
	for i := range e.w.Blocks {
		e.blocks = append(e.blocks, e.block(&e.w.Blocks[i]))
	}
	if e.biases.Declared() == 0 {
		return nil
	}
	if err := e.biases.Alloc(e.backend); err != nil {
		return fmt.Errorf("allocate biases: %w", err)
	}
	return e.fillBiases()
}

func openBackend(o Options) (*ggml.Backend, error) {
	if o.Module != nil {
		return o.Module.Open(o.Device)
	}
	return ggml.NewCPU(o.Threads)
}

// trainedParams lists what learns.
func trainedParams(f *gguf.File, o Options) ([]checkpoint.Param, error) {
	if o.Method == MethodFull {
		return fullParams(f)
	}
	targets, err := lora.Targets(o.LoRA, f)
	if err != nil {
		return nil, err
	}
	return adapterParams(targets, o.LoRA.Rank), nil
}

func (e *Engine) fillTrainable(f *gguf.File) error {
	switch {
	case e.o.Method == MethodFull:
		return e.t.fillFrom(f, e.w)
	case e.o.From != "":
		return e.t.fillAdapter(e.o.From, e.o.LoRA, f)
	}
	targets, err := lora.Targets(e.o.LoRA, f)
	if err != nil {
		return err
	}
	return e.t.fill(targets, e.o.LoRA, e.o.Seed)
}

// rank is the adapters' rank, 0 under method full.
func (e *Engine) rank() int64 {
	if e.o.Method == MethodFull {
		return 0
	}
	return int64(e.o.LoRA.Rank)
}

// Params are the model's hyper-parameters.
func (e *Engine) Params() *model.Params { return e.p }

// Plan is the memory by arithmetic and what was chosen to fit it.
func (e *Engine) Plan() Plan { return e.plan }

// Close frees everything but the file. It may be called twice.
func (e *Engine) Close() error {
	var errs []error
	for _, g := range e.g.all {
		errs = append(errs, g.Close())
	}
	e.g.all = nil
	stores := []*ggml.Store{e.opt.store, e.biases}
	if e.acts != nil {
		stores = append(stores, e.acts.store)
	}
	for _, s := range stores {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if e.t != nil && e.t.store != nil {
		errs = append(errs, e.t.Close())
	}
	if e.w != nil {
		errs = append(errs, e.w.Close())
	}
	if e.backend != nil {
		errs = append(errs, e.backend.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close engine: %w", err)
	}
	return nil
}
