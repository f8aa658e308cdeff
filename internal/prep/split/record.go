package split

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
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
}{
	{KindMessages, []string{"messages"}, []string{"messages", "tools"}},
	{KindShareGPT, []string{"conversations"}, []string{"conversations", "system", "tools"}},
	{KindFIM, []string{"prefix", "suffix", "middle"}, []string{"prefix", "suffix", "middle"}},
	{KindPrompt, []string{"prompt", "completion"}, []string{"prompt", "completion"}},
	{KindAlpaca, []string{"instruction", "output"}, []string{"instruction", "input", "output", "system", "history"}},
	{KindText, []string{"text"}, []string{"text"}},
}

// key identifies content or a group: the first half of a SHA-256.
type key [16]byte

func keyOf(parts ...[]byte) key {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	var k key
	copy(k[:], h.Sum(nil))
	return k
}

// record is what is remembered of a line.
type record struct {
	kind    int // index into kinds
	content key
	group   string // "" when the record stands alone
}

var errKind = errors.New("no known kind of record: it has none of messages, conversations, prefix+suffix+middle, prompt+completion, instruction+output, text")

// parse reads the line of one record.
func parse(line []byte) (record, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return record{}, fmt.Errorf("malformed JSON: %w", err)
	}
	for i, k := range kinds {
		if !hasAll(fields, k.needs) {
			continue
		}
		content, err := contentKey(k.name, fields, k.content)
		if err != nil {
			return record{}, err
		}
		return record{kind: i, content: content, group: groupOf(fields)}, nil
	}
	return record{}, errKind
}

func hasAll(fields map[string]json.RawMessage, names []string) bool {
	for _, name := range names {
		if v, ok := fields[name]; !ok || string(v) == "null" {
			return false
		}
	}
	return true
}

// contentKey hashes fields in a form that spacing, escapes and the order of
// keys do not change.
func contentKey(kind string, fields map[string]json.RawMessage, names []string) (key, error) {
	parts := [][]byte{[]byte(kind)}
	for _, name := range names {
		canonical, err := canonicalJSON(fields[name])
		if err != nil {
			return key{}, fmt.Errorf("field %s: %w", name, err)
		}
		parts = append(parts, canonical)
	}
	return keyOf(parts...), nil
}

func canonicalJSON(raw json.RawMessage) ([]byte, error) {
	if raw == nil {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// groupOf names the group of a record: what its maker says ("group"), its
// session, or its file.
func groupOf(fields map[string]json.RawMessage) string {
	text := func(name string) string {
		var s string
		if json.Unmarshal(fields[name], &s) != nil {
			return ""
		}
		return s
	}
	if v := text("group"); v != "" {
		return "group " + v
	}
	if v := text("session"); v != "" {
		return "group " + v // the same id names a session's group
	}
	if v := text("path"); v != "" {
		return "file " + text("repo") + "\x00" + v
	}
	return ""
}
