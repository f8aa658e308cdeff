package jinja

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds on what a template may ask for.
const (
	maxOutput = 256 << 20 // bytes of one rendering
	maxRange  = 100_000   // as in Jinja's sandbox
	maxCalls  = 100       // depth of macro calls
)

// state is one rendering.
type state struct {
	out   *strings.Builder
	now   func() time.Time
	depth int
}

// frame is a scope: a loop body, a macro, a with block or the template.
type frame struct {
	vars   map[string]any
	parent *frame
}

func newFrame(parent *frame) *frame { return &frame{vars: map[string]any{}, parent: parent} }

func (f *frame) lookup(name string) any {
	for ; f != nil; f = f.parent {
		if v, ok := f.vars[name]; ok {
			return v
		}
	}
	if g, ok := globals[name]; ok {
		return g
	}
	return Undefined{quote(name)}
}

// node is a piece of a template that renders itself.
type node interface {
	render(st *state, f *frame) error
}

type (
	dataNode   string
	groupNode  []node // a generation block, which scopes what it sets
	outputNode struct {
		value expr
		line  int
	}
	lineNode struct {
		node
		line int
	}
	ifNode struct {
		conds     []expr
		bodies    [][]node
		otherwise []node
	}
	forNode struct {
		target     target
		iter, cond expr
		body       []node
		otherwise  []node
	}
	target struct {
		names  []string
		attr   string // of namespace names[0]
		unpack bool
	}
	setNode struct {
		target target
		value  expr
	}
	setBlockNode struct {
		target  target
		filters expr
		body    []node
	}
	macroNode struct {
		name     string
		params   []string
		defaults []expr // nil where there is none
		body     []node
	}
	withNode struct {
		names  []string
		values []expr
		body   []node
	}
	filterNode struct {
		filters expr
		body    []node
	}
	breakNode    struct{}
	continueNode struct{}
)

var (
	errBreak    = errors.New("break outside of a loop")
	errContinue = errors.New("continue outside of a loop")
)

// lineError is an error that already says where it happened.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

func atLine(line int, err error) error {
	var located *lineError
	if err == nil || err == errBreak || err == errContinue || errors.As(err, &located) {
		return err
	}
	return &lineError{line, err}
}

func renderAll(nodes []node, st *state, f *frame) error {
	for _, n := range nodes {
		if err := n.render(st, f); err != nil {
			return err
		}
	}
	return nil
}

func (st *state) write(s string) error {
	if st.out.Len()+len(s) > maxOutput {
		return fmt.Errorf("output longer than %d bytes", maxOutput)
	}
	st.out.WriteString(s)
	return nil
}

// capture renders nodes into a string of their own.
func (st *state) capture(nodes []node, f *frame) (string, error) {
	outer := st.out
	st.out = &strings.Builder{}
	err := renderAll(nodes, st, f)
	text := st.out.String()
	st.out = outer
	return text, err
}

func (n dataNode) render(st *state, _ *frame) error  { return st.write(string(n)) }
func (n groupNode) render(st *state, f *frame) error { return renderAll(n, st, newFrame(f)) }
func (n lineNode) render(st *state, f *frame) error  { return atLine(n.line, n.node.render(st, f)) }

func (n outputNode) render(st *state, f *frame) error {
	v, err := n.value.eval(st, f)
	if err != nil {
		return atLine(n.line, err)
	}
	return atLine(n.line, st.write(str(v)))
}

func (n ifNode) render(st *state, f *frame) error {
	for i, cond := range n.conds {
		v, err := cond.eval(st, f)
		if err != nil {
			return err
		}
		if truthy(v) {
			return renderAll(n.bodies[i], st, f)
		}
	}
	return renderAll(n.otherwise, st, f)
}

func (n forNode) render(st *state, f *frame) error {
	items, err := n.items(st, f)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return renderAll(n.otherwise, st, newFrame(f))
	}
	l := &loop{items: items}
	for i, item := range items {
		l.at = i
		body := newFrame(f)
		body.vars["loop"] = l
		if err := n.target.bind(body, item); err != nil {
			return err
		}
		switch err := renderAll(n.body, st, body); err {
		case nil, errContinue:
		case errBreak:
			return nil
		default:
			return err
		}
	}
	return nil
}

// items is what the loop runs over, after its own condition.
func (n forNode) items(st *state, f *frame) ([]any, error) {
	v, err := n.iter.eval(st, f)
	if err != nil {
		return nil, err
	}
	items, ok := elements(v)
	if !ok {
		return nil, fmt.Errorf("cannot loop over a %s", typeName(v))
	}
	if n.cond == nil {
		return items, nil
	}
	var kept []any
	for _, item := range items {
		inner := newFrame(f)
		if err := n.target.bind(inner, item); err != nil {
			return nil, err
		}
		keep, err := n.cond.eval(st, inner)
		if err != nil {
			return nil, err
		}
		if truthy(keep) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}

func (t target) bind(f *frame, value any) error {
	if t.attr != "" {
		ns, ok := f.lookup(t.names[0]).(*Namespace)
		if !ok {
			return fmt.Errorf("cannot set an attribute of %s: it is no namespace", t.names[0])
		}
		return ns.attrs.set(t.attr, value)
	}
	if !t.unpack {
		f.vars[t.names[0]] = value
		return nil
	}
	items, ok := elements(value)
	if !ok || len(items) != len(t.names) {
		return fmt.Errorf("cannot unpack a %s of %d into %d names", typeName(value), len(items), len(t.names))
	}
	for i, name := range t.names {
		f.vars[name] = items[i]
	}
	return nil
}

func (n setNode) render(st *state, f *frame) error {
	v, err := n.value.eval(st, f)
	if err != nil {
		return err
	}
	return n.target.bind(f, v)
}

func (n setBlockNode) render(st *state, f *frame) error {
	v, err := filterCaptured(n.filters, n.body, st, f)
	if err != nil {
		return err
	}
	return n.target.bind(f, v)
}

func (n filterNode) render(st *state, f *frame) error {
	v, err := filterCaptured(n.filters, n.body, st, f)
	if err != nil {
		return err
	}
	return st.write(str(v))
}

// captured stands for the rendered body of a block at the head of its filters.
type captured struct{}

const capturedName = "\x00captured"

func (captured) eval(_ *state, f *frame) (any, error) { return f.lookup(capturedName), nil }

func filterCaptured(filters expr, body []node, st *state, f *frame) (any, error) {
	text, err := st.capture(body, newFrame(f))
	if err != nil {
		return nil, err
	}
	inner := newFrame(f)
	inner.vars[capturedName] = text
	return filters.eval(st, inner)
}

func (n withNode) render(st *state, f *frame) error {
	inner := newFrame(f)
	for i, name := range n.names {
		v, err := n.values[i].eval(st, f)
		if err != nil {
			return err
		}
		inner.vars[name] = v
	}
	return renderAll(n.body, st, inner)
}

func (breakNode) render(*state, *frame) error    { return errBreak }
func (continueNode) render(*state, *frame) error { return errContinue }

func (n macroNode) render(_ *state, f *frame) error {
	f.vars[n.name] = Callable(func(st *state, args *callArgs) (any, error) { return n.call(st, f, args) })
	return nil
}

// call renders a macro in a scope inside the one that defined it.
func (n macroNode) call(st *state, defined *frame, args *callArgs) (any, error) {
	if st.depth++; st.depth > maxCalls {
		return nil, fmt.Errorf("macro calls nested deeper than %d", maxCalls)
	}
	defer func() { st.depth-- }()
	if len(args.positional) > len(n.params) {
		return nil, fmt.Errorf("macro %s takes %d arguments, got %d", n.name, len(n.params), len(args.positional))
	}
	f := newFrame(defined)
	for i, name := range n.params {
		v, given := args.take(i, name)
		if !given {
			v = Undefined{"parameter " + quote(name)}
			if n.defaults[i] != nil {
				var err error
				if v, err = n.defaults[i].eval(st, f); err != nil {
					return nil, err
				}
			}
		}
		f.vars[name] = v
	}
	if err := args.done(); err != nil {
		return nil, fmt.Errorf("macro %s: %w", n.name, err)
	}
	return st.capture(n.body, f)
}
