package jinja

import (
	"fmt"
	"math"
	"strings"
)

// maxRepeat bounds the length of strings and lists made by operators.
const maxRepeat = 64 << 20

// arithmetic is left op right with Python's rules.
func arithmetic(op string, left, right any) (any, error) {
	if op == "~" {
		return str(left) + str(right), nil
	}
	for _, v := range []any{left, right} {
		if err := undefinedError(v); err != nil {
			return nil, err
		}
	}
	if op == "+" {
		if v, ok := concat(left, right); ok {
			if n := size(v); n > maxRepeat {
				return nil, fmt.Errorf("result longer than %d", maxRepeat)
			}
			return v, nil
		}
	}
	if op == "*" {
		if v, ok, err := repeat(left, right); ok || err != nil {
			return v, err
		}
	}
	a, aInt := asInt(left)
	b, bInt := asInt(right)
	if aInt && bInt && op != "/" {
		return integers(op, a, b)
	}
	x, xOK := asFloat(left)
	y, yOK := asFloat(right)
	if !xOK || !yOK {
		return nil, fmt.Errorf("cannot compute %s %s %s", typeName(left), op, typeName(right))
	}
	return floats(op, x, y)
}

func concat(left, right any) (any, bool) {
	switch a := left.(type) {
	case string:
		if b, ok := right.(string); ok {
			return a + b, true
		}
	case []any:
		if b, ok := right.([]any); ok {
			return append(append(make([]any, 0, len(a)+len(b)), a...), b...), true
		}
	case Tuple:
		if b, ok := right.(Tuple); ok {
			return append(append(make(Tuple, 0, len(a)+len(b)), a...), b...), true
		}
	}
	return nil, false
}

// size is the length of a string in bytes or of a list in items.
func size(v any) int64 {
	if s, ok := v.(string); ok {
		return int64(len(s))
	}
	items, _ := elements(v)
	return int64(len(items))
}

func repeat(left, right any) (any, bool, error) {
	n, ok := asInt(right)
	if !ok {
		if n, ok = asInt(left); !ok {
			return nil, false, nil
		}
		left = right
	}
	switch left.(type) {
	case string, []any:
	default:
		return nil, false, nil
	}
	n, width := max(n, 0), size(left)
	if width > 0 && n > maxRepeat/width {
		return nil, false, fmt.Errorf("repetition longer than %d", maxRepeat)
	}
	if s, ok := left.(string); ok {
		return strings.Repeat(s, int(n)), true, nil
	}
	out := make([]any, 0, n*width)
	for range n {
		out = append(out, left.([]any)...)
	}
	return out, true, nil
}

func integers(op string, a, b int64) (any, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "**":
		f := math.Pow(float64(a), float64(b))
		if b >= 0 && math.Abs(f) < 1<<53 {
			return int64(f), nil
		}
		return f, nil
	}
	if b == 0 {
		return nil, fmt.Errorf("division by zero")
	}
	quotient, remainder := a/b, a%b
	if remainder != 0 && (remainder < 0) != (b < 0) {
		quotient, remainder = quotient-1, remainder+b
	}
	if op == "//" {
		return quotient, nil
	}
	return remainder, nil
}

func floats(op string, x, y float64) (any, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		return math.Pow(x, y), nil
	}
	if y == 0 {
		return nil, fmt.Errorf("division by zero")
	}
	switch op {
	case "/":
		return x / y, nil
	case "//":
		return math.Floor(x / y), nil
	}
	return x - y*math.Floor(x/y), nil
}

// compare is one link of a comparison.
func compare(op string, left, right any) (bool, error) {
	switch op {
	case "==":
		return equal(left, right), nil
	case "!=":
		return !equal(left, right), nil
	case "in":
		return contains(right, left)
	case "not in":
		found, err := contains(right, left)
		return !found, err
	}
	c, err := order(left, right)
	if err != nil {
		return false, err
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

// equal is Python's ==.
func equal(left, right any) bool {
	if a, ok := asFloat(left); ok {
		b, ok := asFloat(right)
		return ok && a == b
	}
	switch a := left.(type) {
	case nil:
		return right == nil
	case Undefined:
		_, ok := right.(Undefined)
		return ok
	case string:
		b, ok := right.(string)
		return ok && a == b
	case Number:
		b, ok := right.(Number)
		return ok && a == b
	case []any:
		b, ok := right.([]any)
		return ok && equalLists(a, b)
	case Tuple:
		b, ok := right.(Tuple)
		return ok && equalLists(a, b)
	case *Dict:
		b, ok := right.(*Dict)
		return ok && equalDicts(a, b)
	case *Namespace:
		return right == left
	}
	return false
}

func equalLists(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalDicts(a, b *Dict) bool {
	if a.Len() != b.Len() {
		return false
	}
	for i, key := range a.keys {
		v, ok := b.get(key)
		if !ok || !equal(a.values[i], v) {
			return false
		}
	}
	return true
}

// order is negative, zero or positive as left sorts before, with or after right.
func order(left, right any) (int, error) {
	if a, ok := asFloat(left); ok {
		if b, ok := asFloat(right); ok {
			switch {
			case a < b:
				return -1, nil
			case a > b:
				return 1, nil
			}
			return 0, nil
		}
	}
	if a, ok := left.(string); ok {
		if b, ok := right.(string); ok {
			return strings.Compare(a, b), nil
		}
	}
	a, aOK := left.([]any)
	b, bOK := right.([]any)
	if !aOK || !bOK {
		return 0, fmt.Errorf("cannot order a %s and a %s", typeName(left), typeName(right))
	}
	for i := range min(len(a), len(b)) {
		if c, err := order(a[i], b[i]); c != 0 || err != nil {
			return c, err
		}
	}
	return len(a) - len(b), nil
}

func contains(in, v any) (bool, error) {
	switch x := in.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			return false, fmt.Errorf("cannot look for a %s in a string", typeName(v))
		}
		return strings.Contains(x, s), nil
	case *Dict:
		_, found := x.get(v)
		return found, nil
	}
	items, ok := elements(in)
	if !ok {
		return false, fmt.Errorf("cannot look into a %s", typeName(in))
	}
	for _, item := range items {
		if equal(item, v) {
			return true, nil
		}
	}
	return false, nil
}

// slice is v[start:stop:step] with Python's clamping.
func slice(v any, bounds [3]*int64) (any, error) {
	var items []any
	switch v.(type) {
	case string, []any, Tuple:
		items, _ = elements(v)
	default:
		return nil, fmt.Errorf("cannot slice a %s", typeName(v))
	}
	step := int64(1)
	if bounds[2] != nil {
		step = *bounds[2]
	}
	if step == 0 {
		return nil, fmt.Errorf("slice step is zero")
	}
	n := int64(len(items))
	step = min(max(step, -n-1), n+1) // a longer stride lands outside all the same
	start, stop := sliceRange(bounds, n, step)
	out := []any{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		out = append(out, items[i])
	}
	switch v.(type) {
	case string:
		var b strings.Builder
		for _, s := range out {
			b.WriteString(s.(string))
		}
		return b.String(), nil
	case Tuple:
		return Tuple(out), nil
	}
	return out, nil
}

func sliceRange(bounds [3]*int64, n, step int64) (start, stop int64) {
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	clamp := func(b *int64, otherwise int64) int64 {
		if b == nil {
			return otherwise
		}
		i := *b
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	if step < 0 {
		return clamp(bounds[0], high), clamp(bounds[1], low)
	}
	return clamp(bounds[0], low), clamp(bounds[1], high)
}
