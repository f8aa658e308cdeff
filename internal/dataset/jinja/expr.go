package jinja

import "fmt"

// expr is an expression of the template.
type expr interface {
	eval(st *state, f *frame) (any, error)
}

type (
	constExpr struct{ value any }
	nameExpr  string
	listExpr  []expr
	tupleExpr []expr
	dictExpr  struct{ keys, values []expr }
	attrExpr  struct {
		of   expr
		name string
	}
	itemExpr  struct{ of, key expr }
	sliceExpr struct{ of, start, stop, step expr }
	callExpr  struct {
		function expr
		args     argList
	}
	filterExpr struct {
		of   expr
		name string
		args argList
	}
	testExpr struct {
		of   expr
		name string
		args argList
	}
	ternaryExpr struct{ yes, cond, no expr } // no is nil without an else
	orExpr      struct{ left, right expr }
	andExpr     struct{ left, right expr }
	notExpr     struct{ of expr }
	negateExpr  struct{ of expr }
	binaryExpr  struct {
		op          string
		left, right expr
	}
	compareExpr struct {
		first expr
		ops   []string
		rest  []expr
	}
	argList struct {
		positional []expr
		names      []string
		named      []expr
	}
)

func (e constExpr) eval(*state, *frame) (any, error)    { return e.value, nil }
func (e nameExpr) eval(_ *state, f *frame) (any, error) { return f.lookup(string(e)), nil }

func evalAll(exprs []expr, st *state, f *frame) ([]any, error) {
	values := make([]any, len(exprs))
	for i, e := range exprs {
		v, err := e.eval(st, f)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

func (e listExpr) eval(st *state, f *frame) (any, error) {
	values, err := evalAll(e, st, f)
	return values, err
}

func (e tupleExpr) eval(st *state, f *frame) (any, error) {
	values, err := evalAll(e, st, f)
	return Tuple(values), err
}

func (e dictExpr) eval(st *state, f *frame) (any, error) {
	keys, err := evalAll(e.keys, st, f)
	if err != nil {
		return nil, err
	}
	values, err := evalAll(e.values, st, f)
	if err != nil {
		return nil, err
	}
	d := NewDict()
	for i, key := range keys {
		if err := d.set(key, values[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// eval of an attribute tries the methods of the value first and its keys
// second, as Jinja does: d.items is the method even when "items" is a key.
func (e attrExpr) eval(st *state, f *frame) (any, error) {
	v, err := e.of.eval(st, f)
	if err != nil {
		return nil, err
	}
	if err := undefinedError(v); err != nil {
		return nil, err
	}
	if m, ok := attribute(v, e.name); ok {
		return m, nil
	}
	return item(v, e.name), nil
}

// eval of an item tries the keys first and the methods second.
func (e itemExpr) eval(st *state, f *frame) (any, error) {
	v, err := e.of.eval(st, f)
	if err != nil {
		return nil, err
	}
	key, err := e.key.eval(st, f)
	if err != nil {
		return nil, err
	}
	if err := undefinedError(v); err != nil {
		return nil, err
	}
	found := item(v, key)
	if _, missing := found.(Undefined); missing {
		if name, ok := key.(string); ok {
			if m, ok := attribute(v, name); ok {
				return m, nil
			}
		}
	}
	return found, nil
}

// item is v[key], or undefined.
func item(v, key any) any {
	if d, ok := v.(*Dict); ok {
		if found, ok := d.get(key); ok {
			return found
		}
	} else if i, ok := asInt(key); ok {
		if list, ok := elements(v); ok {
			if i < 0 {
				i += int64(len(list))
			}
			if i >= 0 && i < int64(len(list)) {
				return list[i]
			}
		}
	}
	return Undefined{fmt.Sprintf("%s of a %s", repr(key), typeName(v))}
}

func (e sliceExpr) eval(st *state, f *frame) (any, error) {
	v, err := e.of.eval(st, f)
	if err != nil {
		return nil, err
	}
	if err := undefinedError(v); err != nil {
		return nil, err
	}
	var bounds [3]*int64
	for i, part := range []expr{e.start, e.stop, e.step} {
		if part == nil {
			continue
		}
		b, err := part.eval(st, f)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		n, ok := asInt(b)
		if !ok {
			return nil, fmt.Errorf("slice bound is a %s", typeName(b))
		}
		bounds[i] = &n
	}
	return slice(v, bounds)
}

func (e callExpr) eval(st *state, f *frame) (any, error) {
	fn, err := e.function.eval(st, f)
	if err != nil {
		return nil, err
	}
	if err := undefinedError(fn); err != nil {
		return nil, err
	}
	c, ok := fn.(Callable)
	if !ok {
		return nil, fmt.Errorf("a %s cannot be called", typeName(fn))
	}
	args, err := e.args.eval(st, f)
	if err != nil {
		return nil, err
	}
	return c(st, args)
}

func (e filterExpr) eval(st *state, f *frame) (any, error) {
	filter, ok := filterNamed(e.name)
	if !ok {
		return nil, fmt.Errorf("no filter named %q", e.name)
	}
	v, err := e.of.eval(st, f)
	if err != nil {
		return nil, err
	}
	args, err := e.args.eval(st, f)
	if err != nil {
		return nil, err
	}
	out, err := filter(st, v, args)
	if err != nil {
		return nil, fmt.Errorf("filter %s: %w", e.name, err)
	}
	return out, nil
}

func (e testExpr) eval(st *state, f *frame) (any, error) {
	v, err := e.of.eval(st, f)
	if err != nil {
		return nil, err
	}
	args, err := e.args.eval(st, f)
	if err != nil {
		return nil, err
	}
	return runTest(e.name, v, args)
}

func runTest(name string, v any, args *callArgs) (bool, error) {
	test, ok := tests[name]
	if !ok {
		return false, fmt.Errorf("no test named %q", name)
	}
	out, err := test(v, args)
	if err != nil {
		return false, fmt.Errorf("test %s: %w", name, err)
	}
	return out, nil
}

func (e ternaryExpr) eval(st *state, f *frame) (any, error) {
	cond, err := e.cond.eval(st, f)
	if err != nil {
		return nil, err
	}
	switch {
	case truthy(cond):
		return e.yes.eval(st, f)
	case e.no == nil:
		return Undefined{"the value of an if without else"}, nil
	}
	return e.no.eval(st, f)
}

func (e orExpr) eval(st *state, f *frame) (any, error) {
	left, err := e.left.eval(st, f)
	if err != nil || truthy(left) {
		return left, err
	}
	return e.right.eval(st, f)
}

func (e andExpr) eval(st *state, f *frame) (any, error) {
	left, err := e.left.eval(st, f)
	if err != nil || !truthy(left) {
		return left, err
	}
	return e.right.eval(st, f)
}

func (e notExpr) eval(st *state, f *frame) (any, error) {
	v, err := e.of.eval(st, f)
	return !truthy(v), err
}

func (e negateExpr) eval(st *state, f *frame) (any, error) {
	v, err := e.of.eval(st, f)
	if err != nil {
		return nil, err
	}
	if x, ok := v.(float64); ok {
		return -x, nil
	}
	if i, ok := asInt(v); ok {
		return -i, nil
	}
	return nil, fmt.Errorf("cannot negate a %s", typeName(v))
}

func (e binaryExpr) eval(st *state, f *frame) (any, error) {
	left, err := e.left.eval(st, f)
	if err != nil {
		return nil, err
	}
	right, err := e.right.eval(st, f)
	if err != nil {
		return nil, err
	}
	return arithmetic(e.op, left, right)
}

func (e compareExpr) eval(st *state, f *frame) (any, error) {
	left, err := e.first.eval(st, f)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		right, err := e.rest[i].eval(st, f)
		if err != nil {
			return nil, err
		}
		ok, err := compare(op, left, right)
		if err != nil || !ok {
			return false, err
		}
		left = right
	}
	return true, nil
}

func (a argList) eval(st *state, f *frame) (*callArgs, error) {
	positional, err := evalAll(a.positional, st, f)
	if err != nil {
		return nil, err
	}
	args := &callArgs{positional: positional}
	for i, name := range a.names {
		v, err := a.named[i].eval(st, f)
		if err != nil {
			return nil, err
		}
		args.names = append(args.names, name)
		args.named = append(args.named, v)
	}
	return args, nil
}

// callArgs are the evaluated arguments of a call, filter or test.
type callArgs struct {
	positional []any
	names      []string
	named      []any
	taken      int // named arguments that found their parameter
}

// take is parameter i, by position or by name.
func (a *callArgs) take(i int, name string) (any, bool) {
	if i < len(a.positional) {
		return a.positional[i], true
	}
	for k, n := range a.names {
		if n == name {
			a.taken++
			return a.named[k], true
		}
	}
	return nil, false
}

// done reports named arguments that no parameter took.
func (a *callArgs) done() error {
	if a.taken < len(a.names) {
		return fmt.Errorf("unknown argument among %v", a.names)
	}
	return nil
}

// value is parameter i, or otherwise when it is not given.
func (a *callArgs) value(i int, name string, otherwise any) any {
	if v, ok := a.take(i, name); ok {
		return v
	}
	return otherwise
}

func (a *callArgs) text(i int, name, otherwise string) (string, error) {
	v := a.value(i, name, otherwise)
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("argument %s must be a string, not a %s", name, typeName(v))
	}
	return s, nil
}

func (a *callArgs) integer(i int, name string, otherwise int64) (int64, error) {
	v := a.value(i, name, otherwise)
	n, ok := asInt(v)
	if !ok {
		return 0, fmt.Errorf("argument %s must be an integer, not a %s", name, typeName(v))
	}
	return n, nil
}
