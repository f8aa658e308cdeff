package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// Kind is the shape of a record, and of a file all of whose records have it.
type Kind string

// The kinds of records, in the order in which they are looked for: a record
// with the keys of several is of the first.
const (
	KindMessages   Kind = "messages"          // messages, perhaps tools
	KindShareGPT   Kind = "sharegpt"          // conversations of from and value
	KindFIM        Kind = "fim"               // prefix, suffix, middle, perhaps context
	KindCompletion Kind = "prompt/completion" // prompt, completion
	KindAlpaca     Kind = "alpaca"            // instruction, input, output
	KindText       Kind = "text"              // text

	// KindMixed is a file whose records are of several kinds, each told apart
	// by its keys. No record is of this kind.
	KindMixed Kind = "mixed"
)

// kindKeys are the keys that a record of each kind must have.
var kindKeys = []struct {
	kind Kind
	keys []string
}{
	{KindMessages, []string{"messages"}},
	{KindShareGPT, []string{"conversations"}},
	{KindFIM, []string{"prefix", "suffix", "middle"}},
	{KindCompletion, []string{"prompt", "completion"}},
	{KindAlpaca, []string{"instruction", "output"}},
	{KindText, []string{"text"}},
}

// record is one line, normalised. Messages, ShareGPT, Alpaca and completions
// given as message lists become a chat; the others stay plain text.
type record struct {
	kind Kind
	chat *chat
	// prompt and completion of plain completions; completion alone of text.
	prompt, completion string
	fim                FIMSample
}

// chat is a conversation as a chat template sees it.
type chat struct {
	messages []any // *jinja.Dict with string role and content
	tools    any   // []any, or nil
	// completion is the index of the first message that may be trained.
	completion int
}

// parseRecord reads one line. Its errors say what is wrong with the record;
// the caller adds file and line.
func parseRecord(line []byte) (*record, error) {
	d, err := decodeRecord(line)
	if err != nil {
		return nil, err
	}
	return recordOf(d)
}

func decodeRecord(line []byte) (*jinja.Dict, error) {
	v, err := jinja.DecodeJSON(line)
	if err != nil {
		return nil, fmt.Errorf("broken JSON: %w", err)
	}
	d, ok := v.(*jinja.Dict)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return d, nil
}

func recordOf(d *jinja.Dict) (*record, error) {
	kind, err := detectKind(d)
	if err != nil {
		return nil, err
	}
	r := &record{kind: kind}
	switch kind {
	case KindMessages:
		r.chat, err = messagesChat(d)
	case KindShareGPT:
		r.chat, err = shareGPTChat(d)
	case KindAlpaca:
		r.chat, err = alpacaChat(d)
	case KindCompletion:
		err = r.readCompletion(d)
	case KindFIM:
		err = r.readFIM(d)
	case KindText:
		err = readStrings(d, map[string]*string{"text": &r.completion})
		if err == nil && r.completion == "" {
			err = errors.New("text is empty")
		}
	}
	return r, err
}

func detectKind(d *jinja.Dict) (Kind, error) {
	for _, k := range kindKeys {
		if !slices.ContainsFunc(k.keys, func(key string) bool { return !has(d, key) }) {
			return k.kind, nil
		}
	}
	var shapes []string
	for _, k := range kindKeys {
		shapes = append(shapes, strings.Join(k.keys, "+"))
	}
	return "", fmt.Errorf("no known kind of record: keys are %s, want one of %s",
		strings.Join(d.Keys(), ", "), strings.Join(shapes, ", "))
}

// has reports a key whose value is not null: exporters fill columns with nulls.
func has(d *jinja.Dict, key string) bool {
	v, ok := d.Get(key)
	return ok && v != nil
}

func readStrings(d *jinja.Dict, fields map[string]*string) error {
	for _, key := range d.Keys() {
		to, wanted := fields[key]
		if !wanted {
			continue
		}
		v, _ := d.Get(key)
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%s is not a string", key)
		}
		*to = s
	}
	return nil
}

// readCompletion takes prompt and completion as two strings or as two lists
// of messages.
func (r *record) readCompletion(d *jinja.Dict) error {
	prompt, _ := d.Get("prompt")
	completion, _ := d.Get("completion")
	before, chatPrompt := prompt.([]any)
	after, chatCompletion := completion.([]any)
	if !chatPrompt || !chatCompletion {
		err := readStrings(d, map[string]*string{"prompt": &r.prompt, "completion": &r.completion})
		if err == nil && r.completion == "" {
			err = errors.New("completion is empty")
		}
		return err
	}
	messages, err := normaliseMessages(slices.Concat(before, after))
	if err != nil {
		return err
	}
	tools, err := readTools(d)
	r.chat = &chat{messages: messages, tools: tools, completion: len(before)}
	return err
}
