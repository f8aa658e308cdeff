package engine

import (
	"errors"
	"fmt"
	"runtime"

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

// New binds f, which must stay open until Close, and builds the graphs for micro-batches of o.Rows x o.Length tokens.
func New(f *gguf.File, o Options) (*Engine, error) {
	if o.Threads == 0 {
		o.Threads = runtime.NumCPU()
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	p, err := model.Read(f)
	if err != nil {
		return nil, err
	}
	e := &Engine{o: o, p: p, n: int64(o.Rows) * int64(o.Length), act: o.Activation, scale: newLossScale(o.Activation), views: map[columnRange]*ggml.Tensor{}}
	e.shape = ggml.AttentionShape{HeadDim: p.HeadDim, Heads: p.Heads, KVHeads: p.KVHeads, Scale: attentionScale(p.HeadDim)}
	if err := e.open(f); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Engine) open(f *gguf.File) (err error) {
	if e.backend, err = openBackend(e.o); err != nil {
		return err
	}
	if e.w, err = model.Bind(f, e.p, e.backend, e.o.Streamed); err != nil {
		return err
	}
	if err := e.makeTrainable(f); err != nil {
		return err
	}
	if err := e.makePlan(); err != nil {
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

// bindBlocks joins weights, adapters and gradients to the groups that the graphs are built from.
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

func (e *Engine) makeTrainable(f *gguf.File) error {
	if e.o.Method == MethodFull {
		params, err := fullParams(f)
		if err != nil {
			return err
		}
		if e.t, err = newTrainable(params, e.backend); err != nil {
			return err
		}
		return e.t.fillFrom(f, e.w)
	}
	targets, err := lora.Targets(e.o.LoRA, f)
	if err != nil {
		return err
	}
	if e.t, err = newTrainable(adapterParams(targets, e.o.LoRA.Rank), e.backend); err != nil {
		return err
	}
	if e.o.From != "" {
		return e.t.fillAdapter(e.o.From, e.o.LoRA, f)
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
