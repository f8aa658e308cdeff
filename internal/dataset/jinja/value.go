package jinja

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Undefined is the value of a name, key or attribute that does not exist. It
// prints as nothing and is false; using it in any other way is an error.
type Undefined struct{ Name string }

// Tuple is a Python tuple: a list that prints with parentheses.
type Tuple []any

// Number is an integer too large for int64, kept as its digits.
type Number string

// Callable is a function or a bound method.
type Callable func(st *state, args *callArgs) (any, error)

// Namespace is the one mutable value: {% set ns.x = ... %} changes it.
type Namespace struct{ attrs *Dict }

// Dict is a mapping that keeps the order of insertion, as Python's does.
type Dict struct {
	keys, values []any
	index        map[any]int // nil while there are few keys
}

// fewKeys are found faster one by one than by an index.
const fewKeys = 8

// NewDict makes an empty Dict.
func NewDict() *Dict { return &Dict{} }

// Set adds or replaces the value of a string key.
func (d *Dict) Set(key string, value any) { _ = d.set(key, value) }

// Get finds the value of a string key.
func (d *Dict) Get(key string) (any, bool) {
	if d.index != nil {
		return d.get(key)
	}
	for i, k := range d.keys {
		if s, ok := k.(string); ok && s == key {
			return d.values[i], true
		}
	}
	return nil, false
}

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// Keys lists the string keys in order of insertion.
func (d *Dict) Keys() []string {
	keys := make([]string, 0, len(d.keys))
	for _, k := range d.keys {
		if s, ok := k.(string); ok {
			keys = append(keys, s)
		}
	}
	return keys
}

// With is a copy of d in which key has value.
func (d *Dict) With(key string, value any) *Dict {
	c := d.clone()
	c.Set(key, value)
	return c
}

func (d *Dict) clone() *Dict {
	return &Dict{keys: slices.Clone(d.keys), values: slices.Clone(d.values), index: maps.Clone(d.index)}
}

func (d *Dict) set(key, value any) error {
	h, err := hashable(key)
	if err != nil {
		return err
	}
	if i, ok := d.find(h); ok {
		d.values[i] = value
		return nil
	}
	d.keys = append(d.keys, key)
	d.values = append(d.values, value)
	switch n := len(d.keys); {
	case d.index != nil:
		d.index[h] = n - 1
	case n > fewKeys:
		d.index = make(map[any]int, 2*n)
		for i, k := range d.keys {
			h, _ := hashable(k) // it was when it was added
			d.index[h] = i
		}
	}
	return nil
}

// find returns the place of the key that is hashed as h.
func (d *Dict) find(h any) (int, bool) {
	if d.index != nil {
		i, ok := d.index[h]
		return i, ok
	}
	for i, k := range d.keys {
		if have, _ := hashable(k); have == h {
			return i, true
		}
	}
	return 0, false
}

func (d *Dict) get(key any) (any, bool) {
	h, err := hashable(key)
	if err != nil {
		return nil, false
	}
	i, ok := d.find(h)
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

func (d *Dict) items() []any {
	items := make([]any, len(d.keys))
	for i := range d.keys {
		items[i] = Tuple{d.keys[i], d.values[i]}
	}
	return items
}

// hashable maps a key to a comparable Go value under which equal Python keys
// meet: 1, 1.0 and True are one key.
func hashable(key any) (any, error) {
	switch k := key.(type) {
	case nil, string, int64, Number:
		return k, nil
	case bool:
		return toInt(k), nil
	case float64:
		if k == math.Trunc(k) && math.Abs(k) < 1<<62 {
			return int64(k), nil
		}
		return k, nil
	}
	return nil, fmt.Errorf("%s cannot be a key", typeName(key))
}

// typeName is Python's name of the type of v, for messages.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "none"
	case bool:
		return "bool"
	case int64, Number:
		return "int"
	case float64:
		return "float"
	case string:
		return "string"
	case []any:
		return "list"
	case Tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *Namespace:
		return "namespace"
	case Callable:
		return "function"
	case *loop:
		return "loop"
	case Undefined:
		return "undefined value"
	}
	return fmt.Sprintf("%T", v)
}

// truthy is Python's bool().
func truthy(v any) bool {
	switch x := v.(type) {
	case nil, Undefined:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case []any:
		return len(x) > 0
	case Tuple:
		return len(x) > 0
	case *Dict:
		return x.Len() > 0
	}
	return true
}

func toInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// asInt reads v as an integer where Python would: int and bool.
func asInt(v any) (int64, bool) {
	switch x := v.(type) {
	case int64:
		return x, true
	case bool:
		return toInt(x), true
	}
	return 0, false
}

// asFloat reads v as a number: int, bool and float.
func asFloat(v any) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	i, ok := asInt(v)
	return float64(i), ok
}

// elements is what iterating over v yields, and false when v is no iterable.
func elements(v any) ([]any, bool) {
	switch x := v.(type) {
	case []any:
		return x, true
	case Tuple:
		return x, true
	case *Dict:
		return x.keys, true
	case Undefined:
		return nil, true
	case string:
		out := make([]any, 0, len(x))
		for _, r := range x {
			out = append(out, string(r))
		}
		return out, true
	}
	return nil, false
}

func undefinedError(v any) error {
	if u, ok := v.(Undefined); ok {
		return fmt.Errorf("%s is undefined", u.Name)
	}
	return nil
}
