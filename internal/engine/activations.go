package engine

import (
	"fmt"

	"github.com/qlora/qlora/internal/ggml"
)

// activations are all tensors of a micro-batch shape, declared together so that their size is known before any of them
// has memory.
type activations struct {
	store     *ggml.Store
	scratch   *ggml.Tensor
	in        inputs
	x         []*ggml.Tensor // input of each block, and the last one's result
	kept      []*kept        // one a block, or one for all when recomputing
	tmp       temporaries
	dx        *ggml.Tensor
	head      head
	keptBytes int64 // of x and kept
}

// inputs are what a micro-batch brings.
type inputs struct {
	tokens, positions, segments *ggml.Tensor // I32 [n]
	frequencies, table          *ggml.Tensor // rotary
	seed                        *ggml.Tensor // I32 [2], dropout
	scale                       *ggml.Tensor // F32 [1], 1/trained tokens of the step
	idx, labels, losses         *ggml.Tensor // [chunks * c]: trained positions, what they predict, and how well
}

// The groups of linears of a block, as indices of kept.u.
const (
	groupQKV = iota
	groupO
	groupGateUp
	groupDown
	groups
)

// kept is what the backward pass of a block needs of its forward pass. Everything else is cheap to compute again.
type kept struct {
	raw                                  span // query, key and value; the first two rotated in place where no norm follows
	qk                                   span // normalised and rotated query and key; parts of raw without a norm
	o                                    span
	lse, mid                             *ggml.Tensor
	gateUp                               span
	u                                    [groups]*ggml.Tensor // A x of each group
	qHeads, kHeads, qRawHeads, kRawHeads *ggml.Tensor         // seen as [head dim, heads, n]
}

func (k *kept) q() *ggml.Tensor { return k.qk.parts[0] }
func (k *kept) k() *ggml.Tensor { return k.qk.parts[1] }
func (k *kept) v() *ggml.Tensor { return k.raw.parts[2] }

// temporaries live within one block.
type temporaries struct {
	h, act           span // inputs of groups
	dgu, dqkv, dwide span // gradients of groups' results; dwide is a copy of dx in the activations' type
	dact, dh, do     *ggml.Tensor
	dqHeads, dkHeads *ggml.Tensor
	drop             map[[2]int64]*ggml.Tensor
	v                map[int64]*ggml.Tensor // [r, n] by n, on the host
}

// head is the part after the last block, run over chunks of c positions.
type head struct {
	rows, dhn, drow, u *ggml.Tensor
	hn, dlogits        span
	buffer, logits     *ggml.Tensor // logits are the first columns of buffer
	norm               norm
	out                group
}

// tensorsPerBlock bounds the tensors and views that one block takes.
const tensorsPerBlock = 96

// declare lays out every activation of micro-batches of e.n tokens without allocating memory.
func (e *Engine) declare(recompute string, chunk int64) (*activations, error) {
	blocks := int64(1)
	if recompute == RecomputeNone {
		blocks = e.p.Layers
	}
	store, err := ggml.NewStore(int(blocks)*tensorsPerBlock + int(e.p.Layers) + 1024)
	if err != nil {
		return nil, err
	}
	a := &activations{store: store}
	for i := range e.p.Layers + 1 {
		a.x = append(a.x, store.New(fmt.Sprintf("x%d", i), ggml.F32, e.p.Embd, e.n))
	}
	for range blocks {
		a.kept = append(a.kept, e.declareKept(store))
	}
	a.keptBytes = store.Declared()
	a.scratch = store.New("scratch", ggml.F32, e.scratchBytes()/4)
	a.in = e.declareInputs(store, chunk)
	a.tmp = e.declareTemporaries(store, chunk)
	a.dx = store.New("dx", ggml.F32, e.p.Embd, e.n)
	a.head = e.declareHead(store, chunk)
	if err := store.Err(); err != nil {
		store.Close()
		return nil, fmt.Errorf("lay out activations: %w", err)
	}
	return a, nil
}

// allocate gives memory to what was declared.
func (e *Engine) allocate() error {
	if err := e.acts.store.Alloc(e.backend); err != nil {
		return fmt.Errorf("allocate activations: %w", err)
	}
	return e.acts.in.frequencies.SetF32(0, e.p.Rope.Frequencies)
}

func (e *Engine) declareInputs(s *ggml.Store, chunk int64) (in inputs) {
	in.tokens, in.positions = s.New("tokens", ggml.I32, e.n), s.New("positions", ggml.I32, e.n)
	in.segments = s.New("segments", ggml.I32, e.n)
	in.frequencies = s.New("frequencies", ggml.F32, e.p.Rope.Dims/2)
	in.table = s.New("rope table", ggml.F32, e.p.Rope.Dims, e.n)
	in.seed, in.scale = s.New("seed", ggml.I32, 2), s.New("scale", ggml.F32, 1)
	padded := (e.n + chunk - 1) / chunk * chunk
	in.idx, in.labels = s.New("idx", ggml.I32, padded), s.New("labels", ggml.I32, padded)
	in.losses = s.New("losses", ggml.F32, padded)
	return in
}

// widths of the activations of a block.
func (e *Engine) qWidth() int64  { return e.p.Heads * e.p.HeadDim }
func (e *Engine) kvWidth() int64 { return e.p.KVHeads * e.p.HeadDim }

// room is the tail of group i of a block, zero on the host.
func (e *Engine) room(i int) int64 {
	if e.host {
		return 0
	}
	return ggml.GroupTail(e.rank(), groupSizes[i])
}

func (e *Engine) declareKept(s *ggml.Store) *kept {
	p, n := e.p, e.n
	q, kv := e.qWidth(), e.kvWidth()
	k := &kept{
		raw: spanOf(s, "qkv", e.act, n, 0, q, kv, kv),
		o:   spanOf(s, "attention", e.act, n, e.room(groupO), q),
		lse: s.New("log-sum-exp", ggml.F32, p.Heads, n), mid: s.New("mid", ggml.F32, p.Embd, n),
		gateUp: spanOf(s, "gate up", e.act, n, 0, p.FFN, p.FFN),
	}
	k.qk = k.raw
	if p.QKNorm {
		k.qk = spanOf(s, "qk", e.act, n, 0, q, kv)
		k.qHeads, k.kHeads = s.Heads(k.qk.buffer, "q heads", 0, p.HeadDim, p.Heads), s.Heads(k.qk.buffer, "k heads", q, p.HeadDim, p.KVHeads)
		k.qRawHeads = s.Heads(k.raw.buffer, "q raw heads", 0, p.HeadDim, p.Heads)
		k.kRawHeads = s.Heads(k.raw.buffer, "k raw heads", q, p.HeadDim, p.KVHeads)
	}
	if e.rank() > 0 {
		for i := range k.u {
			k.u[i] = s.New("u", e.act, e.keptU(groupSizes[i]), n)
		}
	}
	return k
}

// keptU is the width of A x of a group of the given size.
func (e *Engine) keptU(size int64) int64 {
	if e.host {
		return e.rank() * size
	}
	return ggml.KeptColumns(e.rank(), size)
}

func (e *Engine) declareTemporaries(s *ggml.Store, c int64) (t temporaries) {
	p, n := e.p, e.n
	q, kv := e.qWidth(), e.kvWidth()
	t.h = spanOf(s, "h", e.act, n, max(e.room(groupQKV), e.room(groupGateUp)), p.Embd)
	t.act, t.dact = spanOf(s, "act", e.act, n, e.room(groupDown), p.FFN), s.New("dact", e.act, p.FFN, n)
	t.dgu = spanOf(s, "dgate dup", e.act, n, e.room(groupGateUp), p.FFN, p.FFN)
	t.do, t.dh = s.New("do", e.act, q, n), s.New("dh", e.act, p.Embd, n)
	t.dqkv = spanOf(s, "dqkv", e.act, n, e.room(groupQKV), q, kv, kv)
	if p.QKNorm {
		t.dqHeads = s.Heads(t.dqkv.buffer, "dq heads", 0, p.HeadDim, p.Heads)
		t.dkHeads = s.Heads(t.dqkv.buffer, "dk heads", q, p.HeadDim, p.KVHeads)
	}
	if !e.host {
		t.dwide = spanOf(s, "dx narrowed", e.act, n, max(e.room(groupO), e.room(groupDown)), p.Embd)
	}
	t.v, t.drop = map[int64]*ggml.Tensor{}, map[[2]int64]*ggml.Tensor{}
	if r := e.rank(); r > 0 && e.host {
		v := s.New("v", e.act, r*max(n, c))
		t.v[n], t.v[c] = s.View(v, "v", 0, r, n), s.View(v, "v head", 0, r, c)
	}
	if e.o.LoRA.Dropout > 0 && e.rank() > 0 {
		d := s.New("dropped", e.act, max(p.FFN, q, p.Embd)*max(n, c))
		for _, shape := range [][2]int64{{p.Embd, n}, {q, n}, {p.FFN, n}, {p.Embd, c}} {
			t.drop[shape] = s.View(d, "dropped", 0, shape[0], shape[1])
		}
	}
	return t
}

func (e *Engine) declareHead(s *ggml.Store, c int64) (h head) {
	p := e.p
	tail := int64(0)
	if !e.host {
		tail = ggml.GroupTail(e.rank(), 1)
	}
	h.rows, h.drow = s.New("rows", ggml.F32, p.Embd, c), s.New("drows", ggml.F32, p.Embd, c)
	h.hn, h.dhn = spanOf(s, "rows normed", e.act, c, tail, p.Embd), s.New("drows normed", e.act, p.Embd, c)
	h.buffer = s.New("logits", ggml.F32, p.Vocab+tail, c)
	h.logits = s.Columns(h.buffer, "logits", 0, p.Vocab)
	h.dlogits = span{buffer: s.Narrow(h.buffer, "dlogits", e.act), width: p.Vocab}.split(s, "dlogits", []int64{p.Vocab})
	if e.rank() > 0 {
		h.u = s.New("u head", e.act, e.keptU(1), c)
	}
	return h
}
