package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// globals are the names that every template sees unless it binds them itself.
var globals = map[string]any{
	"range":           Callable(rangeOf),
	"dict":            Callable(newDict),
	"namespace":       Callable(newNamespace),
	"raise_exception": Callable(raiseException),
	"strftime_now":    Callable(strftimeNow),
}

func rangeOf(_ *state, a *callArgs) (any, error) {
	var n [3]int64
	for i, v := range a.positional {
		x, ok := asInt(v)
		if !ok || i > 2 {
			return nil, fmt.Errorf("range takes one to three integers")
		}
		n[i] = x
	}
	start, stop, step := n[0], n[1], int64(1)
	switch len(a.positional) {
	case 0:
		return nil, fmt.Errorf("range takes one to three integers")
	case 1:
		start, stop = 0, n[0]
	case 3:
		step = n[2]
	}
	if step == 0 {
		return nil, fmt.Errorf("range with a step of zero")
	}
	out := []any{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(out) == maxRange {
			return nil, fmt.Errorf("range longer than %d", maxRange)
		}
		out = append(out, i)
		if step > 0 && i > stop-step || step < 0 && i < stop-step {
			break // the next step would leave the range, perhaps past int64
		}
	}
	return out, nil
}

func newDict(_ *state, a *callArgs) (any, error) {
	d := NewDict()
	if len(a.positional) > 0 {
		given, ok := a.positional[0].(*Dict)
		if !ok || len(a.positional) > 1 {
			return nil, fmt.Errorf("dict takes one dict and named values")
		}
		d = given.clone()
	}
	for i, name := range a.names {
		d.Set(name, a.named[i])
	}
	return d, nil
}

func newNamespace(st *state, a *callArgs) (any, error) {
	d, err := newDict(st, a)
	if err != nil {
		return nil, err
	}
	return &Namespace{d.(*Dict)}, nil
}

func raiseException(_ *state, a *callArgs) (any, error) {
	return nil, &Raised{str(a.value(0, "message", ""))}
}

func strftimeNow(st *state, a *callArgs) (any, error) {
	layout, err := a.text(0, "format", "")
	if err != nil {
		return nil, err
	}
	return strftime(st.now(), layout)
}

// strftimeLayouts maps the directives of C's strftime to Go's layouts.
var strftimeLayouts = map[string]string{
	"Y": "2006", "y": "06", "m": "01", "d": "02", "H": "15", "I": "03", "M": "04", "S": "05",
	"B": "January", "b": "Jan", "A": "Monday", "a": "Mon", "p": "PM", "Z": "MST", "z": "-0700",
	"j": "002", "e": "_2", "-d": "2", "-m": "1", "-I": "3", "-M": "4", "-S": "5",
	"F": "2006-01-02", "T": "15:04:05", "D": "01/02/06", "R": "15:04",
}

func strftime(t time.Time, format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		if i+1 < len(format) && format[i] == '-' {
			i++
		}
		if i >= len(format) {
			b.WriteByte('%')
			break
		}
		directive := format[strings.LastIndexByte(format[:i], '%')+1 : i+1]
		switch layout, ok := strftimeLayouts[directive]; {
		case ok:
			b.WriteString(t.Format(layout))
		case directive == "%":
			b.WriteByte('%')
		case directive == "-H":
			b.WriteString(strconv.Itoa(t.Hour()))
		default:
			return "", fmt.Errorf("strftime_now: directive %%%s is not supported", directive)
		}
	}
	return b.String(), nil
}

// loop is the variable of that name inside a for block.
type loop struct {
	items   []any
	at      int
	seen    bool
	changed []any
}

func (l *loop) attr(name string) (any, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.at + 1), true
	case "index0":
		return int64(l.at), true
	case "revindex":
		return int64(n - l.at), true
	case "revindex0":
		return int64(n - l.at - 1), true
	case "first":
		return l.at == 0, true
	case "last":
		return l.at == n-1, true
	case "length":
		return int64(n), true
	case "depth": // counts recursion, not nesting
		return int64(1), true
	case "depth0":
		return int64(0), true
	case "previtem":
		return l.neighbour(l.at-1, "there is no previous item"), true
	case "nextitem":
		return l.neighbour(l.at+1, "there is no next item"), true
	case "cycle":
		return Callable(l.cycle), true
	case "changed":
		return Callable(l.hasChanged), true
	}
	return nil, false
}

func (l *loop) neighbour(i int, missing string) any {
	if i < 0 || i >= len(l.items) {
		return Undefined{missing + ": it"}
	}
	return l.items[i]
}

func (l *loop) cycle(_ *state, a *callArgs) (any, error) {
	if len(a.positional) == 0 {
		return nil, fmt.Errorf("loop.cycle without values")
	}
	return a.positional[l.at%len(a.positional)], nil
}

func (l *loop) hasChanged(_ *state, a *callArgs) (any, error) {
	changed := !l.seen || !equalLists(l.changed, a.positional)
	l.seen, l.changed = true, a.positional
	return changed, nil
}
