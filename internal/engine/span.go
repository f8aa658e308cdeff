package engine

import "github.com/qlora/qlora/internal/ggml"

// span is an activation [width, n] whose columns are read and written as a whole and by part. On a device it may have room
// behind the columns, for what a group of linears computes beside its product.
type span struct {
	buffer *ggml.Tensor
	all    *ggml.Tensor   // the columns without the room
	parts  []*ggml.Tensor // column ranges of all
	width  int64
}

// spanOf declares a span with parts of the given widths and room for tail more columns.
func spanOf(s *ggml.Store, name string, typ ggml.Type, n, tail int64, widths ...int64) span {
	out := span{}
	for _, w := range widths {
		out.width += w
	}
	out.buffer = s.New(name, typ, out.width+tail, n)
	return out.split(s, name, widths)
}

// split makes the views of a span whose buffer is there.
func (p span) split(s *ggml.Store, name string, widths []int64) span {
	if p.buffer == nil {
		return p
	}
	p.all = s.Columns(p.buffer, name, 0, p.width)
	at := int64(0)
	for _, w := range widths {
		p.parts = append(p.parts, s.Columns(p.buffer, name, at, w))
		at += w
	}
	return p
}

// whole makes a span of a tensor that has no parts and no room.
func whole(t *ggml.Tensor) span {
	return span{buffer: t, all: t, parts: []*ggml.Tensor{t}, width: t.Ne(0)}
}

// behind is the room of d columns behind the span.
func (e *Engine) behind(p span, d int64) *ggml.Tensor { return e.columns(p.buffer, p.width, d) }

// columnRange names a view that was made before.
type columnRange struct {
	of      *ggml.Tensor
	from, d int64
}

// columns is columns [from, from+d) of t.
func (e *Engine) columns(t *ggml.Tensor, from, d int64) *ggml.Tensor {
	if t == nil || from == 0 && d == t.Ne(0) {
		return t
	}
	key := columnRange{t, from, d}
	if _, ok := e.views[key]; !ok {
		e.views[key] = e.acts.store.Columns(t, t.Name(), from, d)
	}
	return e.views[key]
}
