package jinja

import (
	"fmt"
	"math"
	"strings"
)

// tests are what may follow "is".
var tests = map[string]func(v any, a *callArgs) (bool, error){
	"defined":     func(v any, _ *callArgs) (bool, error) { return !isUndefined(v), nil },
	"undefined":   func(v any, _ *callArgs) (bool, error) { return isUndefined(v), nil },
	"none":        func(v any, _ *callArgs) (bool, error) { return v == nil, nil },
	"boolean":     func(v any, _ *callArgs) (bool, error) { _, ok := v.(bool); return ok, nil },
	"true":        func(v any, _ *callArgs) (bool, error) { b, ok := v.(bool); return ok && b, nil },
	"false":       func(v any, _ *callArgs) (bool, error) { b, ok := v.(bool); return ok && !b, nil },
	"integer":     func(v any, _ *callArgs) (bool, error) { return isInteger(v), nil },
	"float":       func(v any, _ *callArgs) (bool, error) { _, ok := v.(float64); return ok, nil },
	"number":      isNumber,
	"string":      func(v any, _ *callArgs) (bool, error) { _, ok := v.(string); return ok, nil },
	"mapping":     func(v any, _ *callArgs) (bool, error) { _, ok := v.(*Dict); return ok, nil },
	"sequence":    isSequence,
	"iterable":    func(v any, _ *callArgs) (bool, error) { _, ok := elements(v); return ok, nil },
	"callable":    func(v any, _ *callArgs) (bool, error) { _, ok := v.(Callable); return ok, nil },
	"in":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, "in") },
	"eq":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, "==") },
	"equalto":     func(v any, a *callArgs) (bool, error) { return withOther(v, a, "==") },
	"==":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, "==") },
	"ne":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, "!=") },
	"!=":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, "!=") },
	"lt":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, "<") },
	"lessthan":    func(v any, a *callArgs) (bool, error) { return withOther(v, a, "<") },
	"<":           func(v any, a *callArgs) (bool, error) { return withOther(v, a, "<") },
	"le":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, "<=") },
	"<=":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, "<=") },
	"gt":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, ">") },
	"greaterthan": func(v any, a *callArgs) (bool, error) { return withOther(v, a, ">") },
	">":           func(v any, a *callArgs) (bool, error) { return withOther(v, a, ">") },
	"ge":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, ">=") },
	">=":          func(v any, a *callArgs) (bool, error) { return withOther(v, a, ">=") },
	"sameas":      isSame,
	"odd":         func(v any, _ *callArgs) (bool, error) { return remainder(v, 2, 1) },
	"even":        func(v any, _ *callArgs) (bool, error) { return remainder(v, 2, 0) },
	"divisibleby": isDivisible,
	"lower": func(v any, _ *callArgs) (bool, error) {
		s := str(v)
		return s == strings.ToLower(s) && s != strings.ToUpper(s), nil
	},
	"upper": func(v any, _ *callArgs) (bool, error) {
		s := str(v)
		return s == strings.ToUpper(s) && s != strings.ToLower(s), nil
	},
}

func isUndefined(v any) bool {
	_, ok := v.(Undefined)
	return ok
}

func isInteger(v any) bool {
	switch v.(type) {
	case int64, Number:
		return true
	}
	return false
}

func isNumber(v any, _ *callArgs) (bool, error) {
	_, ok := asFloat(v)
	return ok || isInteger(v), nil
}

// isSequence is true of strings and dicts too: Jinja asks for a length and
// for items, not for a list.
func isSequence(v any, _ *callArgs) (bool, error) {
	_, ok := elements(v)
	return ok, nil
}

func withOther(v any, a *callArgs, op string) (bool, error) {
	other, ok := a.take(0, "")
	if !ok {
		return false, fmt.Errorf("needs a value to compare with")
	}
	return compare(op, v, other)
}

// isSame is identity, which lists and dicts have only with themselves. Values
// without identity of their own must agree in type and value.
func isSame(v any, a *callArgs) (bool, error) {
	other, ok := a.take(0, "other")
	if !ok {
		return false, fmt.Errorf("needs a value to compare with")
	}
	switch v.(type) {
	case []any, Tuple, Callable:
		return false, nil
	}
	switch other.(type) {
	case []any, Tuple, Callable:
		return false, nil
	}
	return v == other, nil
}

func isDivisible(v any, a *callArgs) (bool, error) {
	by, err := a.integer(0, "num", 0)
	if err != nil || by == 0 {
		return false, fmt.Errorf("needs a divisor other than zero")
	}
	return remainder(v, by, 0)
}

func remainder(v any, by int64, want float64) (bool, error) {
	f, ok := asFloat(v)
	if !ok {
		return false, fmt.Errorf("a %s is no number", typeName(v))
	}
	return math.Abs(math.Mod(f, float64(by))) == want, nil
}
