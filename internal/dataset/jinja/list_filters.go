package jinja

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func listOf(v any) ([]any, error) {
	items, ok := elements(v)
	if !ok {
		return nil, fmt.Errorf("needs a list, not a %s", typeName(v))
	}
	return items, nil
}

// path follows a dotted attribute such as "function.name" or "0.role".
func path(v any, dotted string) any {
	for part := range strings.SplitSeq(dotted, ".") {
		var key any = part
		if i, err := strconv.ParseInt(part, 10, 64); err == nil {
			key = i
		}
		found := item(v, key)
		if isUndefined(found) {
			if m, ok := attribute(v, part); ok {
				found = m
			}
		}
		v = found
	}
	return v
}

// attributeOf reads the argument "attribute" as a function of an item.
func attributeOf(v any) func(any) any {
	if v == nil {
		return func(item any) any { return item }
	}
	return func(item any) any { return path(item, str(v)) }
}

func joinFilter(_ *state, v any, a *callArgs) (any, error) {
	items, err := listOf(v)
	if err != nil {
		return nil, err
	}
	sep := str(a.value(0, "d", ""))
	of := attributeOf(a.value(1, "attribute", nil))
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = str(of(item))
	}
	return strings.Join(parts, sep), nil
}

func first(_ *state, v any, _ *callArgs) (any, error) {
	items, err := listOf(v)
	if err != nil || len(items) == 0 {
		return Undefined{"the first item of an empty list"}, err
	}
	return items[0], nil
}

func last(_ *state, v any, _ *callArgs) (any, error) {
	items, err := listOf(v)
	if err != nil || len(items) == 0 {
		return Undefined{"the last item of an empty list"}, err
	}
	return items[len(items)-1], nil
}

func list(_ *state, v any, _ *callArgs) (any, error) {
	items, err := listOf(v)
	if items == nil {
		items = []any{}
	}
	return items, err
}

func reverse(_ *state, v any, _ *callArgs) (any, error) {
	items, err := listOf(v)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(items)
	slices.Reverse(out)
	if _, ok := v.(string); !ok {
		return out, nil
	}
	var b strings.Builder
	for _, s := range out {
		b.WriteString(s.(string))
	}
	return b.String(), nil
}

func sortFilter(_ *state, v any, a *callArgs) (any, error) {
	items, err := listOf(v)
	if err != nil {
		return nil, err
	}
	backwards := truthy(a.value(0, "reverse", false))
	sensitive := truthy(a.value(1, "case_sensitive", false))
	of := attributeOf(a.value(2, "attribute", nil))
	out := slices.Clone(items)
	err = sortBy(out, backwards, func(item any) any { return fold(of(item), sensitive) })
	return out, err
}

func unique(_ *state, v any, a *callArgs) (any, error) {
	items, err := listOf(v)
	if err != nil {
		return nil, err
	}
	sensitive := truthy(a.value(0, "case_sensitive", false))
	of := attributeOf(a.value(1, "attribute", nil))
	seen := NewDict()
	out := []any{}
	for _, item := range items {
		key := fold(of(item), sensitive)
		if _, ok := seen.get(key); ok {
			continue
		}
		if err := seen.set(key, true); err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

// mapFilter applies a filter by name, or reads an attribute, of every item.
func mapFilter(st *state, v any, a *callArgs) (any, error) {
	items, err := listOf(v)
	if err != nil {
		return nil, err
	}
	apply, err := mapping(st, a)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, item := range items {
		if out[i], err = apply(item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func mapping(st *state, a *callArgs) (func(any) (any, error), error) {
	if len(a.positional) == 0 {
		of := attributeOf(a.value(0, "attribute", nil))
		otherwise := a.value(1, "default", Undefined{"the attribute"})
		return func(item any) (any, error) {
			if found := of(item); !isUndefined(found) {
				return found, nil
			}
			return otherwise, nil
		}, nil
	}
	name := str(a.positional[0])
	filter, ok := filterNamed(name)
	if !ok {
		return nil, fmt.Errorf("no filter named %q", name)
	}
	rest := callArgs{positional: a.positional[1:], names: a.names, named: a.named}
	return func(item any) (any, error) {
		args := rest
		return filter(st, item, &args)
	}, nil
}

// selecting makes select, reject, selectattr and rejectattr: items that pass
// (or fail) a test, on the item itself or on an attribute of it.
func selecting(keep, byAttribute bool) filterFunc {
	return func(_ *state, v any, a *callArgs) (any, error) {
		items, err := listOf(v)
		if err != nil {
			return nil, err
		}
		args := a.positional
		of := attributeOf(nil)
		if byAttribute {
			if len(args) == 0 {
				return nil, fmt.Errorf("needs the name of an attribute")
			}
			of, args = attributeOf(args[0]), args[1:]
		}
		out := []any{}
		for _, item := range items {
			ok, err := passes(of(item), args)
			if err != nil {
				return nil, err
			}
			if ok == keep {
				out = append(out, item)
			}
		}
		return out, nil
	}
}

// passes runs the test named first in args; without one it asks for truth.
func passes(v any, args []any) (bool, error) {
	if len(args) == 0 {
		return truthy(v), nil
	}
	return runTest(str(args[0]), v, &callArgs{positional: args[1:]})
}

func sum(_ *state, v any, a *callArgs) (any, error) {
	items, err := listOf(v)
	if err != nil {
		return nil, err
	}
	of := attributeOf(a.value(0, "attribute", nil))
	total := a.value(1, "start", int64(0))
	for _, item := range items {
		if total, err = arithmetic("+", total, of(item)); err != nil {
			return nil, err
		}
	}
	return total, nil
}

// extreme is the smallest (sign -1) or largest (sign 1) item.
func extreme(v any, sign int) (any, error) {
	items, err := listOf(v)
	if err != nil || len(items) == 0 {
		return Undefined{"an item of an empty list"}, err
	}
	best := items[0]
	for _, item := range items[1:] {
		c, err := order(fold(item, false), fold(best, false))
		if err != nil {
			return nil, err
		}
		if c*sign > 0 {
			best = item
		}
	}
	return best, nil
}
