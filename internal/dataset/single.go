package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// Record is one line of a data file, read by the rules of Load. It is for
// those who look at data: its text, where it comes from, what it repeats.
type Record struct {
	Kind Kind
	d    *jinja.Dict
	r    *record
}

// ReadRecord reads one line. Its errors say what is wrong with the record; the
// caller adds file and line.
func ReadRecord(line []byte) (*Record, error) {
	d, err := decodeRecord(line)
	if err != nil {
		return nil, err
	}
	r, err := recordOf(d)
	if err != nil {
		return nil, err
	}
	return &Record{Kind: r.kind, d: d, r: r}, nil
}

// Field is the text of a field of the record, "" when it is absent or no text.
func (r *Record) Field(key string) string {
	v, _ := r.d.Get(key)
	s, _ := v.(string)
	return s
}

// Message is one message of a chat as a chat template sees it.
type Message struct {
	Role, Content string
	Reasoning     string // kept beside the content, not part of it
	Name          string // of the tool, on a result
	Calls         []Call
}

// Call is a tool call of an assistant's message.
type Call struct {
	Name      string
	Arguments string // JSON
}

// Messages are those of a chat, of whatever kind it is; nil for other records.
func (r *Record) Messages() []Message {
	if r.r.chat == nil {
		return nil
	}
	out := make([]Message, len(r.r.chat.messages))
	for i, v := range r.r.chat.messages {
		d := v.(*jinja.Dict)
		out[i] = Message{Role: fieldText(d, "role"), Content: fieldText(d, "content"),
			Reasoning: fieldText(d, "reasoning_content"), Name: fieldText(d, "name"), Calls: messageCalls(d)}
	}
	return out
}

func fieldText(d *jinja.Dict, key string) string {
	v, _ := d.Get(key)
	s, _ := v.(string)
	return s
}

func messageCalls(message *jinja.Dict) []Call {
	v, _ := message.Get("tool_calls")
	list, _ := v.([]any)
	var out []Call
	for _, c := range list {
		call, _ := c.(*jinja.Dict)
		if call == nil {
			continue
		}
		function, _ := call.Get("function")
		f, _ := function.(*jinja.Dict)
		if f == nil {
			continue
		}
		args, _ := f.Get("arguments")
		spelled, ok := args.(string)
		if !ok {
			spelled, _ = jinja.EncodeJSON(args) // decoded from JSON, so it encodes
		}
		out = append(out, Call{Name: fieldText(f, "name"), Arguments: spelled})
	}
	return out
}

// Tools are the names of the tools that a chat declares, in its order.
func (r *Record) Tools() []string {
	if r.r.chat == nil {
		return nil
	}
	list, _ := r.r.chat.tools.([]any)
	var names []string
	for _, v := range list {
		d, _ := v.(*jinja.Dict)
		if d == nil {
			continue
		}
		if f, _ := d.Get("function"); f != nil {
			if function, ok := f.(*jinja.Dict); ok {
				d = function
			}
		}
		names = append(names, fieldText(d, "name"))
	}
	return names
}

// TrainedTurns are the indices of the messages that carry loss under l,
// whatever a template makes of them.
func (r *Record) TrainedTurns(l Loss) []int {
	if r.r.chat == nil {
		return nil
	}
	return (&builder{o: LoadOptions{Loss: l}}).lossTurns(r.r.chat)
}

// contentFields are the fields that make two records of a kind the same:
// where a record comes from is not among them.
var contentFields = map[Kind][]string{
	KindMessages:   {"messages", "tools"},
	KindShareGPT:   {"conversations", "system", "tools"},
	KindFIM:        {"prefix", "suffix", "middle"},
	KindCompletion: {"prompt", "completion"},
	KindAlpaca:     {"instruction", "input", "output", "system", "history"},
	KindText:       {"text"},
}

// Fingerprint is the same for records of one kind and content, whatever else
// they carry: the first 128 bits of SHA-256.
func (r *Record) Fingerprint() [16]byte {
	buf := digests.Get().(*[]byte)
	defer digests.Put(buf)
	b := appendText((*buf)[:0], 'k', string(r.Kind))
	for _, key := range contentFields[r.Kind] {
		v, _ := r.d.Get(key)
		b = appendDigest(b, v)
	}
	*buf = b
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// digests are buffers for what is hashed.
var digests = sync.Pool{New: func() any { return new([]byte) }}

// appendDigest spells a value so that different values are different bytes.
func appendDigest(b []byte, v any) []byte {
	switch x := v.(type) {
	case string:
		return appendText(b, 's', x)
	case []any:
		b = appendSize(b, 'l', len(x))
		for _, item := range x {
			b = appendDigest(b, item)
		}
		return b
	case *jinja.Dict:
		b = appendSize(b, 'd', x.Len())
		for _, key := range x.Keys() {
			item, _ := x.Get(key)
			b = appendDigest(appendText(b, 's', key), item)
		}
		return b
	}
	return appendText(b, 'v', fmt.Sprint(v))
}

func appendText(b []byte, kind byte, text string) []byte {
	return append(appendSize(b, kind, len(text)), text...)
}

func appendSize(b []byte, kind byte, n int) []byte {
	return binary.AppendUvarint(append(b, kind), uint64(n))
}

// File is a file that a fill-in-the-middle record shows before the hole.
type File struct{ Path, Content string }

// Context are the files that a fill-in-the-middle record carries, in order.
func (r *Record) Context() []File {
	v, _ := r.d.Get("context")
	list, _ := v.([]any)
	var files []File
	for _, item := range list {
		if d, ok := item.(*jinja.Dict); ok {
			files = append(files, File{Path: fieldText(d, "path"), Content: fieldText(d, "content")})
		}
	}
	return files
}
