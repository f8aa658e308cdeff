package jinja

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

type filterFunc func(st *state, v any, a *callArgs) (any, error)

// filters are what may follow "|", beside map. The ones that work on the items
// of a list are in list_filters.go.
var filters = map[string]filterFunc{
	"tojson":     toJSON,
	"length":     length,
	"count":      length,
	"trim":       onString(func(s string, a *callArgs) (any, error) { return strip(s, a, true, true) }),
	"upper":      onString(func(s string, _ *callArgs) (any, error) { return strings.ToUpper(s), nil }),
	"lower":      onString(func(s string, _ *callArgs) (any, error) { return strings.ToLower(s), nil }),
	"title":      onString(func(s string, _ *callArgs) (any, error) { return titleWords(s), nil }),
	"capitalize": onString(func(s string, _ *callArgs) (any, error) { return capitalize(s), nil }),
	"replace":    onString(replace),
	"indent":     onString(indent),
	"wordcount":  onString(func(s string, _ *callArgs) (any, error) { return int64(len(strings.Fields(s))), nil }),
	"string":     func(_ *state, v any, _ *callArgs) (any, error) { return str(v), nil },
	"safe":       func(_ *state, v any, _ *callArgs) (any, error) { return v, nil },
	"escape":     onString(escape),
	"e":          onString(escape),
	"default":    defaultValue,
	"d":          defaultValue,
	"int":        toInteger,
	"float":      toFloat,
	"abs":        absolute,
	"round":      round,
	"items":      dictItems,
	"dictsort":   dictSort,
	"attr":       attr,
	"join":       joinFilter,
	"first":      first,
	"last":       last,
	"list":       list,
	"reverse":    reverse,
	"sort":       sortFilter,
	"unique":     unique,
	"select":     selecting(true, false),
	"reject":     selecting(false, false),
	"selectattr": selecting(true, true),
	"rejectattr": selecting(false, true),
	"sum":        sum,
	"min":        func(_ *state, v any, _ *callArgs) (any, error) { return extreme(v, -1) },
	"max":        func(_ *state, v any, _ *callArgs) (any, error) { return extreme(v, 1) },
}

// filterNamed finds a filter. Map stands outside of the table because it looks
// filters up itself.
func filterNamed(name string) (filterFunc, bool) {
	if name == "map" {
		return mapFilter, true
	}
	f, ok := filters[name]
	return f, ok
}

// onString makes a filter of a function of strings; other values are turned
// into strings first, as Jinja's soft_str does.
func onString(f method[string]) filterFunc {
	return func(_ *state, v any, a *callArgs) (any, error) { return f(str(v), a) }
}

// toJSON is transformers' tojson, which differs from Jinja's: nothing is
// escaped for HTML, characters stay as they are and keys keep their order.
func toJSON(_ *state, v any, a *callArgs) (any, error) {
	style := jsonStyle{itemSep: ", ", keySep: ": "}
	style.ascii = truthy(a.value(0, "ensure_ascii", false))
	switch indent := a.value(1, "indent", nil).(type) {
	case nil:
	case string:
		style.pretty, style.indent, style.itemSep = true, indent, ","
	default:
		n, ok := asInt(indent)
		if !ok || n > 64 {
			return nil, fmt.Errorf("indent must be a number of at most 64")
		}
		style.pretty, style.indent, style.itemSep = true, strings.Repeat(" ", int(max(n, 0))), ","
	}
	if separators, ok := elements(a.value(2, "separators", Tuple{})); ok && len(separators) == 2 {
		style.itemSep, style.keySep = str(separators[0]), str(separators[1])
	}
	style.sortKeys = truthy(a.value(3, "sort_keys", false))
	return encodeJSON(v, style)
}

func length(_ *state, v any, _ *callArgs) (any, error) {
	if s, ok := v.(string); ok {
		return int64(utf8.RuneCountInString(s)), nil
	}
	items, ok := elements(v)
	if !ok {
		return nil, fmt.Errorf("a %s has no length", typeName(v))
	}
	return int64(len(items)), nil
}

// titleWords is Jinja's title filter, which knows fewer word boundaries than
// str.title: blanks, hyphens and opening brackets.
func titleWords(s string) string {
	var b strings.Builder
	start := true
	for _, r := range s {
		if start {
			b.WriteString(strings.ToUpper(string(r)))
		} else {
			b.WriteString(strings.ToLower(string(r)))
		}
		start = isSpace(r) || strings.ContainsRune("-({[<", r)
	}
	return b.String()
}

func indent(s string, a *callArgs) (any, error) {
	var pad string
	switch width := a.value(0, "width", int64(4)).(type) {
	case string:
		pad = width
	case int64:
		if width > 1000 {
			return nil, fmt.Errorf("width above 1000")
		}
		pad = strings.Repeat(" ", int(max(width, 0)))
	default:
		return nil, fmt.Errorf("width must be a number or a string")
	}
	first, blank := truthy(a.value(1, "first", false)), truthy(a.value(2, "blank", false))
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if i > 0 && (line != "" || blank) || i == 0 && first {
			lines[i] = pad + line
		}
	}
	return strings.Join(lines, "\n"), nil
}

func escape(s string, _ *callArgs) (any, error) { return html.EscapeString(s), nil }

func defaultValue(_ *state, v any, a *callArgs) (any, error) {
	otherwise := a.value(0, "default_value", "")
	if isUndefined(v) || truthy(a.value(1, "boolean", false)) && !truthy(v) {
		return otherwise, nil
	}
	return v, nil
}

func toInteger(_ *state, v any, a *callArgs) (any, error) {
	otherwise := a.value(0, "default", int64(0))
	base, err := a.integer(1, "base", 10)
	if err != nil || base < 2 || base > 36 {
		return nil, fmt.Errorf("base must be from 2 to 36")
	}
	switch x := v.(type) {
	case string:
		text := strings.TrimFunc(x, isSpace)
		if i, err := strconv.ParseInt(text, int(base), 64); err == nil {
			return i, nil
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.Abs(f) >= 1<<62 {
			return otherwise, nil
		}
		return int64(f), nil
	case float64:
		if math.IsNaN(x) || math.Abs(x) >= 1<<62 {
			return otherwise, nil
		}
		return int64(x), nil
	}
	if i, ok := asInt(v); ok {
		return i, nil
	}
	return otherwise, nil
}

func toFloat(_ *state, v any, a *callArgs) (any, error) {
	if f, ok := asFloat(v); ok {
		return f, nil
	}
	if s, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimFunc(s, isSpace), 64); err == nil {
			return f, nil
		}
	}
	return a.value(0, "default", 0.0), nil
}

func absolute(_ *state, v any, _ *callArgs) (any, error) {
	if i, ok := asInt(v); ok {
		return max(i, -i), nil
	}
	f, ok := asFloat(v)
	if !ok {
		return nil, fmt.Errorf("a %s is no number", typeName(v))
	}
	return math.Abs(f), nil
}

func round(_ *state, v any, a *callArgs) (any, error) {
	f, ok := asFloat(v)
	if !ok {
		return nil, fmt.Errorf("a %s is no number", typeName(v))
	}
	precision, err := a.integer(0, "precision", 0)
	if err != nil {
		return nil, err
	}
	scale := math.Pow10(int(min(max(precision, -300), 300)))
	switch method := a.value(1, "method", "common"); method {
	case "common":
		return math.RoundToEven(f*scale) / scale, nil
	case "ceil":
		return math.Ceil(f*scale) / scale, nil
	case "floor":
		return math.Floor(f*scale) / scale, nil
	default:
		return nil, fmt.Errorf("method must be common, ceil or floor, not %s", repr(method))
	}
}

func dictItems(_ *state, v any, _ *callArgs) (any, error) {
	if isUndefined(v) {
		return []any{}, nil
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, fmt.Errorf("needs a dict, not a %s", typeName(v))
	}
	return d.items(), nil
}

func dictSort(_ *state, v any, a *callArgs) (any, error) {
	d, ok := v.(*Dict)
	if !ok {
		return nil, fmt.Errorf("needs a dict, not a %s", typeName(v))
	}
	sensitive := truthy(a.value(0, "case_sensitive", false))
	part := 0
	if a.value(1, "by", "key") == "value" {
		part = 1
	}
	items := d.items()
	err := sortBy(items, truthy(a.value(2, "reverse", false)), func(item any) any {
		return fold(item.(Tuple)[part], sensitive)
	})
	return items, err
}

func attr(_ *state, v any, a *callArgs) (any, error) {
	name, err := a.text(0, "name", "")
	if err != nil {
		return nil, err
	}
	if m, ok := attribute(v, name); ok {
		return m, nil
	}
	return Undefined{quote(name) + " of a " + typeName(v)}, nil
}

// fold makes strings compare without case, which is how Jinja sorts.
func fold(v any, sensitive bool) any {
	if s, ok := v.(string); ok && !sensitive {
		return strings.ToLower(s)
	}
	return v
}

// sortBy sorts items by key, stably, and reports values that have no order.
func sortBy(items []any, reverse bool, key func(any) any) error {
	var failed error
	slices.SortStableFunc(items, func(x, y any) int {
		c, err := order(key(x), key(y))
		if err != nil {
			failed = err
		}
		if reverse {
			return -c
		}
		return c
	})
	return failed
}
