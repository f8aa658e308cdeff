package engine

import (
	"fmt"

	"github.com/qlora/qlora/internal/ggml"
)

// inputs are what a micro-batch brings.
type inputs struct {
	tokens, positions, segments *ggml.Tensor // I32 [n]
	frequencies, table          *ggml.Tensor // rotary
	seed                        *ggml.Tensor // I32 [2], dropout
	idx, labels                 *ggml.Tensor // I32 [c], positions of a chunk of the head and what they predict
	scale                       *ggml.Tensor // F32 [1], 1/trained tokens of the step
}

// kept is what the backward pass of a block needs of its forward pass. Everything else is cheap to compute again.
type kept struct {
	q, k, v, att, o, mid, gate, up       *ggml.Tensor
	qRaw, kRaw                           *ggml.Tensor // before the head norm; q and k themselves without one
	qHeads, kHeads, qRawHeads, kRawHeads *ggml.Tensor // the same seen as [head dim, heads*n]
	u                                    [7]*ggml.Tensor
}

// temporaries live within one block.
type temporaries struct {
	h, act, dact, dgu, dgate, dup, dh, do *ggml.Tensor
	dqkv, dq, dk, dv, dqHeads, dkHeads    *ggml.Tensor
	drop                                  map[[2]int64]*ggml.Tensor
	v                                     map[int64]*ggml.Tensor // [r, n] by n
}

// head is the part after the last block, run over chunks of c positions.
type head struct {
	rows, hn, packed, logits, dlogits, dhn, drow, u *ggml.Tensor
	norm                                            norm
	out                                             linear
}

// tensorsPerBlock bounds the tensors and views that one kept takes.
const tensorsPerBlock = 24

// allocate declares and allocates every activation.
func (e *Engine) allocate() error {
	blocks := int64(1)
	if e.plan.Recompute == RecomputeNone {
		blocks = e.p.Layers
	}
	store, err := ggml.NewStore(int(blocks)*tensorsPerBlock + int(e.p.Layers) + 64)
	if err != nil {
		return err
	}
	e.acts = store
	e.scratch = store.New("scratch", ggml.F32, e.plan.scratch/4)
	e.declareInputs(store)
	for i := range e.p.Layers + 1 {
		e.x = append(e.x, store.New(fmt.Sprintf("x%d", i), ggml.F32, e.p.Embd, e.n))
	}
	for range blocks {
		e.kept = append(e.kept, e.declareKept(store))
	}
	e.declareTemporaries(store)
	e.declareHead(store)
	if err := store.Alloc(e.backend); err != nil {
		return fmt.Errorf("allocate activations: %w", err)
	}
	return e.in.frequencies.SetF32(0, e.p.Rope.Frequencies)
}

func (e *Engine) declareInputs(s *ggml.Store) {
	in := &e.in
	in.tokens, in.positions = s.New("tokens", ggml.I32, e.n), s.New("positions", ggml.I32, e.n)
	in.segments = s.New("segments", ggml.I32, e.n)
	in.frequencies = s.New("frequencies", ggml.F32, e.p.Rope.Dims/2)
	in.table = s.New("rope table", ggml.F32, e.p.Rope.Dims, e.n)
	in.seed = s.New("seed", ggml.I32, 2)
	in.idx, in.labels = s.New("idx", ggml.I32, e.plan.chunk), s.New("labels", ggml.I32, e.plan.chunk)
	in.scale = s.New("scale", ggml.F32, 1)
}

func (e *Engine) declareKept(s *ggml.Store) *kept {
	p, n := e.p, e.n
	q, kv := p.Heads*p.HeadDim, p.KVHeads*p.HeadDim
	k := &kept{
		q: s.New("q", e.act, q, n), k: s.New("k", e.act, kv, n), v: s.New("v", e.act, kv, n),
		att: s.New("attention", e.act, e.shape.ForwardElements(e.act, n)), mid: s.New("mid", ggml.F32, p.Embd, n),
		gate: s.New("gate", e.act, p.FFN, n), up: s.New("up", e.act, p.FFN, n),
	}
	k.o = s.View(k.att, "o", 0, q, n)
	k.qRaw, k.kRaw = k.q, k.k
	if p.QKNorm {
		k.qRaw, k.kRaw = s.New("q raw", e.act, q, n), s.New("k raw", e.act, kv, n)
		k.qHeads, k.kHeads = s.View(k.q, "q heads", 0, p.HeadDim, p.Heads*n), s.View(k.k, "k heads", 0, p.HeadDim, p.KVHeads*n)
		k.qRawHeads = s.View(k.qRaw, "q raw heads", 0, p.HeadDim, p.Heads*n)
		k.kRawHeads = s.View(k.kRaw, "k raw heads", 0, p.HeadDim, p.KVHeads*n)
	}
	if r := e.rank(); r > 0 {
		for i := range k.u {
			k.u[i] = s.New("u", e.act, r, n)
		}
	}
	return k
}

func (e *Engine) declareTemporaries(s *ggml.Store) {
	p, n, t := e.p, e.n, &e.tmp
	q, kv := p.Heads*p.HeadDim, p.KVHeads*p.HeadDim
	t.h, t.dh = s.New("h", e.act, p.Embd, n), s.New("dh", e.act, p.Embd, n)
	t.act, t.dact = s.New("act", e.act, p.FFN, n), s.New("dact", e.act, p.FFN, n)
	t.dgu = s.New("dgate dup", e.act, 2*p.FFN*n)
	t.dgate, t.dup = s.View(t.dgu, "dgate", 0, p.FFN, n), s.View(t.dgu, "dup", p.FFN*n, p.FFN, n)
	t.do, t.dqkv = s.New("do", e.act, q, n), s.New("dqkv", e.act, (q+2*kv)*n)
	t.dq, t.dk = s.View(t.dqkv, "dq", 0, q, n), s.View(t.dqkv, "dk", q*n, kv, n)
	t.dv = s.View(t.dqkv, "dv", (q+kv)*n, kv, n)
	t.dqHeads, t.dkHeads = s.View(t.dq, "dq heads", 0, p.HeadDim, p.Heads*n), s.View(t.dk, "dk heads", 0, p.HeadDim, p.KVHeads*n)
	e.dx = s.New("dx", ggml.F32, p.Embd, n)
	c := e.plan.chunk
	t.v, t.drop = map[int64]*ggml.Tensor{}, map[[2]int64]*ggml.Tensor{}
	if r := e.rank(); r > 0 {
		v := s.New("v", e.act, r*max(n, c))
		t.v[n], t.v[c] = s.View(v, "v", 0, r, n), s.View(v, "v head", 0, r, c)
	}
	if e.o.LoRA.Dropout > 0 && e.rank() > 0 {
		d := s.New("dropped", e.act, max(p.FFN, q, p.Embd)*max(n, c))
		for _, shape := range [][2]int64{{p.Embd, n}, {q, n}, {p.FFN, n}, {p.Embd, c}} {
			t.drop[shape] = s.View(d, "dropped", 0, shape[0], shape[1])
		}
	}
}

func (e *Engine) declareHead(s *ggml.Store) {
	p, c, h := e.p, e.plan.chunk, &e.head
	h.rows, h.hn = s.New("rows", ggml.F32, p.Embd, c), s.New("rows normed", e.act, p.Embd, c)
	h.dhn, h.drow = s.New("drows normed", e.act, p.Embd, c), s.New("drows", ggml.F32, p.Embd, c)
	h.packed = s.New("logits and losses", ggml.F32, p.Vocab*c+c)
	h.logits = s.View(h.packed, "logits", 0, p.Vocab, c)
	h.dlogits = s.Narrow(h.logits, "dlogits", e.act)
	if r := e.rank(); r > 0 {
		h.u = s.New("u head", e.act, r, c)
	}
}
