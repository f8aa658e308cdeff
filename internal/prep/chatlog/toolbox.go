package chatlog

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// toolbox learns from calls what tools there are: logs of sessions do not hold
// their declarations.
type toolbox struct {
	tools map[string]*usage
}

// usage is what calls of one tool showed.
type usage struct {
	calls     int
	arguments map[string]*argument
}

type argument struct {
	calls int
	kinds map[string]bool // JSON types of its values
}

func newToolbox() *toolbox { return &toolbox{tools: map[string]*usage{}} }

// learn notes one call. Input that is no object teaches the name alone.
func (t *toolbox) learn(name string, input []byte) {
	u := t.tools[name]
	if u == nil {
		u = &usage{arguments: map[string]*argument{}}
		t.tools[name] = u
	}
	u.calls++
	for o := scan.Members(unquoted(input)); o.Next(); {
		if key, ok := o.Name(); ok {
			u.argument(key).note(o.Value)
		}
	}
}

func (u *usage) argument(name string) *argument {
	a := u.arguments[name]
	if a == nil {
		a = &argument{kinds: map[string]bool{}}
		u.arguments[name] = a
	}
	return a
}

func (a *argument) note(value []byte) {
	a.calls++
	switch scan.Kind(value) {
	case '"':
		a.kinds["string"] = true
	case '{':
		a.kinds["object"] = true
	case '[':
		a.kinds["array"] = true
	case 't', 'f':
		a.kinds["boolean"] = true
	case '0':
		if bytes.ContainsAny(value, ".eE") {
			a.kinds["number"] = true
		} else {
			a.kinds["integer"] = true
		}
	}
}

// merge adds what another learnt.
func (t *toolbox) merge(o *toolbox) {
	for name, u := range o.tools {
		have := t.tools[name]
		if have == nil {
			t.tools[name] = u
			continue
		}
		have.calls += u.calls
		for key, a := range u.arguments {
			to := have.argument(key)
			to.calls += a.calls
			for kind := range a.kinds {
				to.kinds[kind] = true
			}
		}
	}
}

// declare writes the declaration of a tool from what its calls had in common:
// arguments in order of name, those of every call required.
func (t *toolbox) declare(name string) tool {
	u := t.tools[name]
	if u == nil {
		u = &usage{}
	}
	var keys []string
	for key := range u.arguments {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	properties, required := []byte{'{'}, []byte{'['}
	for _, key := range keys {
		a := u.arguments[key]
		properties = comma(properties, '{')
		properties = append(scan.AppendQuoted(properties, key), ':')
		properties = append(properties, a.schema()...)
		if a.calls >= u.calls {
			required = comma(required, '[')
			required = scan.AppendQuoted(required, key)
		}
	}
	b := append([]byte(`{"type":"function","function":{"name":`), scan.AppendQuoted(nil, name)...)
	b = append(b, `,"description":"","parameters":{"type":"object","properties":`...)
	b = append(append(append(b, properties...), `},"required":`...), required...)
	return tool{name, append(b, "]}}}"...)}
}

// comma writes a comma unless b has just been opened.
func comma(b []byte, open byte) []byte {
	if b[len(b)-1] == open {
		return b
	}
	return append(b, ',')
}

// schema is the JSON schema of an argument; values of several types, or of
// none but null, are not constrained.
func (a *argument) schema() string {
	var kinds []string
	for kind := range a.kinds {
		if kind != "integer" || !a.kinds["number"] {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) != 1 {
		return "{}"
	}
	return `{"type":"` + kinds[0] + `"}`
}

// declarations are the learnt tools by name.
func (t *toolbox) declarations() map[string]tool {
	out := make(map[string]tool, len(t.tools))
	for name := range t.tools {
		out[name] = t.declare(name)
	}
	return out
}

// pick returns the declarations for a conversation: all that were given, and
// for calls of other tools what was learnt.
func pick(given []tool, learnt map[string]tool, messages []Message) []json.RawMessage {
	var out []json.RawMessage
	have := map[string]bool{}
	for _, g := range given {
		out = append(out, g.json)
		have[g.name] = true
	}
	var names []string
	for i := range messages {
		for _, call := range messages[i].ToolCalls {
			if name := call.Function.Name; !have[name] {
				have[name] = true
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		out = append(out, learnt[name].json)
	}
	return out
}
