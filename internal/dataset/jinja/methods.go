package jinja

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// method is a bound method of a value of type T.
type method[T any] func(self T, a *callArgs) (any, error)

// attribute is a method or attribute of v, before keys are tried.
func attribute(v any, name string) (any, bool) {
	switch x := v.(type) {
	case string:
		return bind(stringMethods, x, name)
	case *Dict:
		if slices.Contains(dictMutators, name) {
			return forbidden(name), true
		}
		return bind(dictMethods, x, name)
	case []any:
		if slices.Contains(listMutators, name) {
			return forbidden(name), true
		}
		return bind(listMethods, x, name)
	case Tuple:
		return bind(listMethods, []any(x), name)
	case *Namespace:
		return x.attrs.get(name)
	case *loop:
		return x.attr(name)
	}
	return nil, false
}

func bind[T any](methods map[string]method[T], self T, name string) (any, bool) {
	m, ok := methods[name]
	if !ok {
		return nil, false
	}
	return Callable(func(_ *state, a *callArgs) (any, error) {
		v, err := m(self, a)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return v, nil
	}), true
}

// Values cannot be changed in the sandbox that chat templates run in.
var (
	dictMutators = []string{"clear", "pop", "popitem", "setdefault", "update"}
	listMutators = []string{"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"}
)

func forbidden(name string) Callable {
	return func(*state, *callArgs) (any, error) {
		return nil, fmt.Errorf("%s: a chat template cannot change values", name)
	}
}

var dictMethods = map[string]method[*Dict]{
	"keys":   func(d *Dict, _ *callArgs) (any, error) { return d.keys, nil },
	"values": func(d *Dict, _ *callArgs) (any, error) { return d.values, nil },
	"items":  func(d *Dict, _ *callArgs) (any, error) { return d.items(), nil },
	"copy":   func(d *Dict, _ *callArgs) (any, error) { return d, nil },
	"get": func(d *Dict, a *callArgs) (any, error) {
		key, ok := a.take(0, "key")
		if !ok {
			return nil, fmt.Errorf("needs a key")
		}
		if v, ok := d.get(key); ok {
			return v, nil
		}
		return a.value(1, "default", nil), nil
	},
}

var listMethods = map[string]method[[]any]{
	"copy": func(l []any, _ *callArgs) (any, error) { return l, nil },
	"count": func(l []any, a *callArgs) (any, error) {
		n := int64(0)
		for _, v := range l {
			n += toInt(equal(v, a.value(0, "value", nil)))
		}
		return n, nil
	},
	"index": func(l []any, a *callArgs) (any, error) {
		for i, v := range l {
			if equal(v, a.value(0, "value", nil)) {
				return int64(i), nil
			}
		}
		return nil, fmt.Errorf("value is not in the list")
	},
}

var stringMethods = map[string]method[string]{
	"strip":      func(s string, a *callArgs) (any, error) { return strip(s, a, true, true) },
	"lstrip":     func(s string, a *callArgs) (any, error) { return strip(s, a, true, false) },
	"rstrip":     func(s string, a *callArgs) (any, error) { return strip(s, a, false, true) },
	"split":      splitLeft,
	"rsplit":     splitRight,
	"splitlines": func(s string, _ *callArgs) (any, error) { return splitLines(s), nil },
	"startswith": func(s string, a *callArgs) (any, error) { return affix(s, a, strings.HasPrefix) },
	"endswith":   func(s string, a *callArgs) (any, error) { return affix(s, a, strings.HasSuffix) },
	"replace":    replace,
	"upper":      func(s string, _ *callArgs) (any, error) { return strings.ToUpper(s), nil },
	"lower":      func(s string, _ *callArgs) (any, error) { return strings.ToLower(s), nil },
	"title":      func(s string, _ *callArgs) (any, error) { return title(s), nil },
	"capitalize": func(s string, _ *callArgs) (any, error) { return capitalize(s), nil },
	"find":       func(s string, a *callArgs) (any, error) { return find(s, a, strings.Index) },
	"rfind":      func(s string, a *callArgs) (any, error) { return find(s, a, strings.LastIndex) },
	"index":      index,
	"count":      count,
	"join":       joinMethod,
	"removeprefix": func(s string, a *callArgs) (any, error) {
		prefix, err := a.text(0, "prefix", "")
		return strings.TrimPrefix(s, prefix), err
	},
	"removesuffix": func(s string, a *callArgs) (any, error) {
		suffix, err := a.text(0, "suffix", "")
		return strings.TrimSuffix(s, suffix), err
	},
	"isdigit": func(s string, _ *callArgs) (any, error) { return all(s, unicode.IsDigit), nil },
	"isalpha": func(s string, _ *callArgs) (any, error) { return all(s, unicode.IsLetter), nil },
	"isspace": func(s string, _ *callArgs) (any, error) { return all(s, isSpace), nil },
	"isalnum": func(s string, _ *callArgs) (any, error) {
		return all(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }), nil
	},
	"isupper": func(s string, _ *callArgs) (any, error) {
		return s == strings.ToUpper(s) && s != strings.ToLower(s), nil
	},
	"islower": func(s string, _ *callArgs) (any, error) {
		return s == strings.ToLower(s) && s != strings.ToUpper(s), nil
	},
	"partition":  func(s string, a *callArgs) (any, error) { return partition(s, a, strings.Index) },
	"rpartition": rpartition,
}

// isSpace is Python's idea of whitespace: Go's and four separators.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func all(s string, ok func(rune) bool) bool {
	for _, r := range s {
		if !ok(r) {
			return false
		}
	}
	return s != ""
}

func strip(s string, a *callArgs, left, right bool) (any, error) {
	cut := isSpace
	if v := a.value(0, "chars", nil); v != nil {
		chars, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("characters must be a string, not a %s", typeName(v))
		}
		cut = func(r rune) bool { return strings.ContainsRune(chars, r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s, nil
}

func toList(parts []string) []any {
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

// splitArgs reads the separator, "" for runs of whitespace, and the number of
// cuts, -1 for all.
func splitArgs(a *callArgs) (sep string, cuts int, err error) {
	n, err := a.integer(1, "maxsplit", -1)
	if err != nil {
		return "", 0, err
	}
	v := a.value(0, "sep", nil)
	if v == nil {
		return "", int(n), nil
	}
	sep, ok := v.(string)
	if !ok || sep == "" {
		return "", 0, fmt.Errorf("separator must be a string that is not empty")
	}
	return sep, int(n), nil
}

func splitLeft(s string, a *callArgs) (any, error) {
	sep, cuts, err := splitArgs(a)
	if err != nil {
		return nil, err
	}
	if sep != "" {
		if cuts < 0 {
			return toList(strings.Split(s, sep)), nil
		}
		return toList(strings.SplitN(s, sep, cuts+1)), nil
	}
	out := []any{}
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
		end := strings.IndexFunc(s, isSpace)
		if end < 0 || len(out) == cuts {
			if len(out) == cuts {
				return append(out, s), nil
			}
			end = len(s)
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out, nil
}

func splitRight(s string, a *callArgs) (any, error) {
	sep, cuts, err := splitArgs(a)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for len(out) != cuts {
		at, width := 0, 0
		if sep == "" {
			s = strings.TrimRightFunc(s, isSpace)
			at = strings.LastIndexFunc(s, isSpace)
			if at >= 0 {
				_, width = utf8.DecodeRuneInString(s[at:])
			}
		} else {
			at, width = strings.LastIndex(s, sep), len(sep)
		}
		if at < 0 {
			break
		}
		out = append(out, s[at+width:])
		s = s[:at]
	}
	if sep == "" {
		s = strings.TrimRightFunc(s, isSpace)
	}
	if sep != "" || s != "" {
		out = append(out, s)
	}
	slices.Reverse(out)
	return out, nil
}

func splitLines(s string) []any {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	if s == "" {
		return []any{}
	}
	return toList(strings.Split(strings.TrimSuffix(s, "\n"), "\n"))
}

func affix(s string, a *callArgs, has func(s, affix string) bool) (any, error) {
	v := a.value(0, "prefix", nil)
	options, ok := v.(Tuple)
	if !ok {
		options = Tuple{v}
	}
	for _, o := range options {
		text, ok := o.(string)
		if !ok {
			return nil, fmt.Errorf("needs a string, not a %s", typeName(o))
		}
		if has(s, text) {
			return true, nil
		}
	}
	return false, nil
}

func replace(s string, a *callArgs) (any, error) {
	old, err := a.text(0, "old", "")
	if err != nil {
		return nil, err
	}
	with, err := a.text(1, "new", "")
	if err != nil {
		return nil, err
	}
	n, err := a.integer(2, "count", -1)
	if err != nil {
		return nil, err
	}
	if grown := strings.Count(s, old) * len(with); grown > maxOutput {
		return nil, fmt.Errorf("result longer than %d bytes", maxOutput)
	}
	return strings.Replace(s, old, with, int(n)), nil
}

// title is str.title: a capital after every character that is no letter.
func title(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		was := inWord
		inWord = unicode.IsLetter(r)
		if was {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, s)
}

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:n]) + strings.ToLower(s[n:])
}

func find(s string, a *callArgs, at func(s, sub string) int) (any, error) {
	sub, err := a.text(0, "sub", "")
	if err != nil {
		return nil, err
	}
	i := at(s, sub)
	if i < 0 {
		return int64(-1), nil
	}
	return int64(utf8.RuneCountInString(s[:i])), nil
}

func index(s string, a *callArgs) (any, error) {
	i, err := find(s, a, strings.Index)
	if err == nil && i == int64(-1) {
		return nil, fmt.Errorf("substring not found")
	}
	return i, err
}

func count(s string, a *callArgs) (any, error) {
	sub, err := a.text(0, "sub", "")
	return int64(strings.Count(s, sub)), err
}

func joinMethod(s string, a *callArgs) (any, error) {
	items, ok := elements(a.value(0, "iterable", nil))
	if !ok {
		return nil, fmt.Errorf("needs a list")
	}
	parts := make([]string, len(items))
	for i, item := range items {
		if parts[i], ok = item.(string); !ok {
			return nil, fmt.Errorf("item %d is a %s, not a string", i, typeName(item))
		}
	}
	return strings.Join(parts, s), nil
}

func partition(s string, a *callArgs, at func(s, sub string) int) (any, error) {
	sep, err := a.text(0, "sep", "")
	if err != nil {
		return nil, err
	}
	i := at(s, sep)
	if i < 0 {
		return Tuple{s, "", ""}, nil
	}
	return Tuple{s[:i], sep, s[i+len(sep):]}, nil
}

// rpartition puts a string without the separator last, not first.
func rpartition(s string, a *callArgs) (any, error) {
	v, err := partition(s, a, strings.LastIndex)
	if t, ok := v.(Tuple); ok && t[1] == "" {
		return Tuple{"", "", s}, err
	}
	return v, err
}
