package ggml

// #include "ops.h"
import "C"

// Embed: y [d, n] = rows of e [d, vocab] at tokens [n].
func (g *Graph) Embed(y, e, tokens, scratch *Tensor) {
	const op = "embed"
	if g.weight(op, e) && g.matrix(op, y, e.Ne(0), y.Ne(1)) && g.indices(op, tokens, y.Ne(1)) {
		g.add(C.QLORA_OP_EMBED, y, opParams{}, e, tokens, scratch)
	}
}

// EmbedBack: de [d, vocab] += dy at tokens.
func (g *Graph) EmbedBack(de, dy, tokens *Tensor) {
	const op = "embed back"
	if g.f32(op, de, dy.Ne(0), de.Ne(1)) && g.indices(op, tokens, dy.Ne(1)) {
		g.add(C.QLORA_OP_EMBED_BACK, de, opParams{}, dy, tokens)
	}
}

// Gather: y [d, c] = columns of x [d, n] at idx [c]; zero where idx is negative.
func (g *Graph) Gather(y, x, idx *Tensor) {
	const op = "gather"
	if g.matrix(op, y, x.Ne(0), y.Ne(1)) && g.indices(op, idx, y.Ne(1)) {
		g.add(C.QLORA_OP_GATHER, y, opParams{}, x, idx)
	}
}

// Scatter: y [d, n] at idx [c] += x [d, c]; the indices must be distinct, negative ones are skipped.
func (g *Graph) Scatter(y, x, idx *Tensor) {
	const op = "scatter"
	if g.matrix(op, y, x.Ne(0), y.Ne(1)) && g.indices(op, idx, x.Ne(1)) {
		g.add(C.QLORA_OP_SCATTER, y, opParams{}, x, idx)
	}
}

// Loss turns logits [vocab, c] into scale*(softmax - one-hot) and writes the c losses to losses. Labels below zero have no
// loss and no gradient. The gradient is written over the logits as gradientType, packed at the start of each row
// (Store.Narrow); without gradient the logits are left undefined.
func (g *Graph) Loss(logits, labels, scale, losses *Tensor, gradient bool, gradientType Type) {
	const op = "loss"
	if g.f32(op, logits, logits.Ne(0), logits.Ne(1)) && g.f32(op, losses, losses.Ne(0), 1) && g.indices(op, labels, logits.Ne(1)) && g.f32(op, scale, 1, 1) {
		if losses.Elements() != logits.Ne(1) {
			g.fail(op, "%s has no place for each row of %s", losses, logits)
			return
		}
		g.add(C.QLORA_OP_LOSS, logits, opParams{i: [6]int32{flag(gradient), int32(gradientType)}}, labels, scale, losses)
	}
}

// AdamW updates w in place from grad and the moments m and v, all flat; hyper holds eight values (op_optim.c).
func (g *Graph) AdamW(w, grad, m, v, hyper *Tensor) {
	const op = "adamw"
	n := w.Elements()
	if g.f32(op, w, n, 1) && g.f32(op, grad, n, 1) && g.f32(op, m, n, 1) && g.f32(op, v, n, 1) && g.f32(op, hyper, 8, 1) {
		g.add(C.QLORA_OP_ADAMW, w, opParams{}, grad, m, v, hyper)
	}
}

// SumSquaresChunks is the number of partial sums SumSquares writes for n values.
func SumSquaresChunks(n int64) int64 { return (n + C.QLORA_CHUNK - 1) / C.QLORA_CHUNK }

// SumSquares writes the sum of squares of each chunk of x; adding them in order is the caller's.
func (g *Graph) SumSquares(out, x *Tensor) {
	if g.f32("sum of squares", out, SumSquaresChunks(x.Elements()), 1) {
		g.add(C.QLORA_OP_SUM_SQUARES, out, opParams{}, x)
	}
}
