package llama

// #include "bridge.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Cache element types for ContextOptions, as ggml numbers them.
const (
	TypeF32  uint32 = C.QL_TYPE_F32
	TypeF16  uint32 = C.QL_TYPE_F16
	TypeBF16 uint32 = C.QL_TYPE_BF16
	TypeQ8_0 uint32 = C.QL_TYPE_Q8_0
)

// FlashAttn tells whether attention is computed by the kernel that keeps no matrix of scores. It reads the cache as it is,
// and on a device without such a kernel the processor computes it, slowly.
type FlashAttn int

// Values of FlashAttn; auto turns it on where each layer's device has the kernel.
const (
	FlashOff  FlashAttn = C.QL_FLASH_ATTN_DISABLED
	FlashOn   FlashAttn = C.QL_FLASH_ATTN_ENABLED
	FlashAuto FlashAttn = C.QL_FLASH_ATTN_AUTO
)

// ContextOptions sizes a context. Zero values take the default in brackets.
type ContextOptions struct {
	Ctx       int // tokens that the cache holds, over all sequences [the model's trained length]
	Batch     int // most tokens of one Decode [min(Ctx, 2048)]
	UBatch    int // most tokens computed at once [min(Batch, 512)]
	Sequences int // most sequences at the same time [1]
	Threads   int // [all processors]

	FlashAttn  FlashAttn
	TypeK      uint32 // cache of keys [TypeF32]
	TypeV      uint32 // cache of values [TypeF32]; quantised types need FlashOn or FlashAuto
	Embeddings bool   // keep the final hidden states of tokens whose logits are asked

	SplitCache     bool // Ctx/Sequences tokens for each sequence, which then attends to its own alone
	SwitchAdapters bool // allow Apply between decodes; costs the reuse of graphs
}

func (o ContextOptions) withDefaults(m *Model) ContextOptions {
	if o.Ctx <= 0 {
		o.Ctx = m.TrainedContext()
	}
	if o.Batch <= 0 {
		o.Batch = min(o.Ctx, 2048)
	}
	if o.UBatch <= 0 {
		o.UBatch = min(o.Batch, 512)
	}
	o.UBatch = min(o.UBatch, o.Batch)
	if o.Sequences <= 0 {
		o.Sequences = 1
	}
	if o.Threads <= 0 {
		o.Threads = runtime.NumCPU()
	}
	return o
}

// params spells the options in C. Unless it is split, one cache is shared by all
// sequences, so that they may differ in length.
func (o ContextOptions) params() C.struct_llama_context_params {
	p := C.llama_context_default_params()
	p.n_ctx, p.n_batch, p.n_ubatch = C.uint32_t(o.Ctx), C.uint32_t(o.Batch), C.uint32_t(o.UBatch)
	p.n_seq_max = C.uint32_t(o.Sequences)
	p.n_threads, p.n_threads_batch = C.int32_t(o.Threads), C.int32_t(o.Threads)
	p.flash_attn_type = C.int32_t(o.FlashAttn)
	p.type_k, p.type_v = C.int32_t(o.TypeK), C.int32_t(o.TypeV)
	p.embeddings = C.bool(o.Embeddings)
	p.kv_unified = C.bool(!o.SplitCache)
	p.no_perf = true
	return p
}

// Context is the state of an inference: cache, buffers, applied adapters.
type Context struct {
	model   *Model
	options ContextOptions
	handle  *C.struct_llama_context
	batch   C.struct_llama_batch
	outputs []bool // which tokens of the last Decode have logits
	applied []AdapterScale
	fresh   bool // nothing was decoded yet
	moved   bool // the next Decode copies a part of the cache
}

// NewContext makes a context for the model.
func (m *Model) NewContext(o ContextOptions) (*Context, error) {
	o = o.withDefaults(m)
	if err := o.check(m); err != nil {
		return nil, fmt.Errorf("context for %s: %w", m.path, err)
	}
	handle, err := m.adopt()
	if err != nil {
		return nil, fmt.Errorf("new context: %w", err)
	}
	c := &Context{model: m, options: o, fresh: true}
	if c.handle, err = newHandle(handle, o); err != nil {
		m.release()
		return nil, fmt.Errorf("context for %s: %w", m.path, err)
	}
	c.batch = C.llama_batch_init(C.int32_t(o.Batch), 0, 1)
	return c, nil
}

func (o ContextOptions) check(m *Model) error {
	const most = 1 << 30
	if o.Ctx <= 0 || o.Ctx > most || o.Batch > most {
		return fmt.Errorf("context of %d tokens in batches of %d is out of range", o.Ctx, o.Batch)
	}
	if limit := int(C.llama_max_parallel_sequences()); o.Sequences > limit {
		return fmt.Errorf("%d sequences exceed libllama's limit of %d", o.Sequences, limit)
	}
	for _, t := range []uint32{o.TypeK, o.TypeV} {
		if t != TypeF32 && t != TypeF16 && t != TypeBF16 && t != TypeQ8_0 {
			return fmt.Errorf("cache type %d is not f32, f16, bf16 or q8_0", t)
		}
	}
	if o.TypeV == TypeQ8_0 && o.FlashAttn == FlashOff {
		return fmt.Errorf("a quantised value cache needs flash attention")
	}
	encoder := false
	m.with(func(h *C.struct_llama_model) { encoder = bool(C.llama_model_has_encoder(h)) })
	if encoder {
		return fmt.Errorf("architecture %s has an encoder; only decoders are supported", m.Arch())
	}
	return nil
}

func newHandle(model *C.struct_llama_model, o ContextOptions) (*C.struct_llama_context, error) {
	var handle *C.struct_llama_context
	lines := capturing(func() {
		reserving.Lock()
		defer reserving.Unlock()
		handle = C.ql_new_context(model, o.params(), C.bool(o.SwitchAdapters))
	})
	if handle == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoMemory, reason(lines, "libllama made no context"))
	}
	return handle, nil
}

// Close frees the context and detaches its adapters; closing twice does
// nothing.
func (c *Context) Close() error {
	if c.handle == nil {
		return nil
	}
	c.detachAdapters()
	C.llama_batch_free(c.batch)
	C.ql_free_context(c.handle)
	C.ql_trim()
	c.handle = nil
	c.outputs = nil
	c.model.release()
	return nil
}

// Model returns the model that the context runs.
func (c *Context) Model() *Model { return c.model }

// Options returns the options with their defaults filled in.
func (c *Context) Options() ContextOptions { return c.options }

// Decode runs the tokens of b through the model and extends the cache. The
// logits of the previous Decode are gone afterwards. ErrContextFull means that
// the cache has no room; nothing of b was added then.
func (c *Context) Decode(b Batch) error {
	if c.handle == nil {
		return fmt.Errorf("decode: context: %w", ErrClosed)
	}
	if err := b.check(c.model.vocab.size, c.options.Batch, c.options.Sequences); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	c.outputs = c.outputs[:0]
	c.fresh = false
	b.fill(&c.batch)
	switch rc := c.decode(); rc {
	case 0:
		c.outputs = append(c.outputs, b.Logits...)
		return nil
	case 1:
		return fmt.Errorf("decode %d tokens: %w", b.Len(), ErrContextFull)
	case -1:
		return fmt.Errorf("decode: libllama refused the batch: positions of a sequence must be consecutive")
	default:
		return fmt.Errorf("decode %d tokens: libllama failed with code %d", b.Len(), rc)
	}
}

// Logits returns the logits after token i of the last Decode, one per
// vocabulary entry, or nil when they were not asked for. The slice is C
// memory: valid until the next Decode, SetAdapters or Close.
func (c *Context) Logits(i int) []float32 {
	if c.handle == nil || i < 0 || i >= len(c.outputs) || !c.outputs[i] {
		return nil
	}
	p := C.llama_get_logits_ith(c.handle, C.int32_t(i))
	if p == nil {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(p)), c.model.vocab.size)
}

// Hidden returns the final hidden state of token i of the last Decode, valid
// like Logits; nil unless ContextOptions.Embeddings was set.
func (c *Context) Hidden(i int) []float32 {
	if c.handle == nil || !c.options.Embeddings || i < 0 || i >= len(c.outputs) {
		return nil
	}
	p := C.llama_get_embeddings_ith(c.handle, C.int32_t(i))
	if p == nil {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(p)), c.model.Embedding())
}
