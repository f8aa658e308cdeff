package split

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Kinds of record, told apart by their fields.
const (
	KindMessages = "messages"
	KindShareGPT = "sharegpt"
	KindFIM      = "fim"
	KindPrompt   = "prompt/completion"
	KindAlpaca   = "alpaca"
	KindText     = "text"
)

// kinds lists what a record of each kind must have; the first that fits wins.
// content are the fields that make two records duplicates: where a record
// comes from is not among them.
var kinds = []struct {
	name    string
	needs   []string
	content []string
	text    func(*reader, *record)
}{
	{KindMessages, []string{"messages"}, []string{"messages", "tools"}, (*reader).messages},
	{KindShareGPT, []string{"conversations"}, []string{"conversations", "system", "tools"}, (*reader).shareGPT},
	{KindFIM, []string{"prefix", "suffix", "middle"}, []string{"prefix", "suffix", "middle"}, (*reader).fim},
	{KindPrompt, []string{"prompt", "completion"}, []string{"prompt", "completion"}, (*reader).prompt},
	{KindAlpaca, []string{"instruction", "output"}, []string{"instruction", "input", "output", "system", "history"}, (*reader).alpaca},
	{KindText, []string{"text"}, []string{"text"}, (*reader).plain},
}

var errKind = errors.New("no known kind of record: it has none of messages, conversations, prefix+suffix+middle, prompt+completion, instruction+output, text")

// record is a line that was taken apart. Values share the line's memory.
type record struct {
	kind   int // index into kinds
	fields map[string]gjson.Result
}

// parse reads the line of one record. The nesting of its values is bounded.
func parse(line string) (record, error) {
	if depth(line) > maxDepth {
		return record{}, fmt.Errorf("malformed JSON: nested more than %d deep", maxDepth)
	}
	if !utf8.ValidString(line) {
		return record{}, errors.New("not valid UTF-8")
	}
	if !json.Valid([]byte(line)) {
		var v json.RawMessage
		return record{}, fmt.Errorf("malformed JSON: %w", json.Unmarshal([]byte(line), &v))
	}
	v := gjson.Parse(line)
	if !v.IsObject() {
		return record{}, errors.New("malformed JSON: not an object")
	}
	r := record{fields: map[string]gjson.Result{}}
	v.ForEach(func(name, value gjson.Result) bool {
		r.fields[name.String()] = value
		return true
	})
	for i, k := range kinds {
		if r.hasAll(k.needs) {
			r.kind = i
			return r, nil
		}
	}
	return record{}, errKind
}

func (r record) hasAll(names []string) bool {
	for _, name := range names {
		if v, ok := r.fields[name]; !ok || v.Type == gjson.Null {
			return false
		}
	}
	return true
}

// maxDepth bounds the nesting of a record, and with it the time to read one.
const maxDepth = 100

// depth is how deep the brackets outside of strings are nested.
func depth(line string) int {
	deepest, open, quoted := 0, 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{' || c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return deepest
}

// text is the value of a field that holds text, or "".
func (r record) text(name string) string {
	if v := r.fields[name]; v.Type == gjson.String {
		return v.Str
	}
	return ""
}

// trimLine removes white space and a byte order mark around a record.
func trimLine(line string) string {
	return strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
}
