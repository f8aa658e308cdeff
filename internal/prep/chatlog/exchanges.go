package chatlog

import (
	"bytes"
	"errors"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// pairing puts requests and responses together in the order in which a log
// holds them, and gives each exchange to emit once it is whole.
type pairing struct {
	emit    func(exchange) bool
	request []byte // without a response so far
	line    int
	events  []byte // of a stream that has not ended
	closed  bool   // emit wants no more
}

// errItem says that an object is neither request nor response.
var errItem = errors.New("neither a request nor a response")

// object takes one JSON value of a log.
func (q *pairing) object(raw []byte, line int) error {
	var kind string
	var request, response []byte
	var messages, content bool
	o := scan.Members(raw)
	for o.Next() {
		key := string(o.Key)
		switch {
		case key == "type":
			kind = scan.Text(o.Value)
		case key == "messages":
			messages = true
		case key == "content" || key == "error":
			content = true
		case requestKeys[key] && scan.Kind(o.Value) != 'n':
			request = unwrap(o.Value)
		case responseKeys[key] && scan.Kind(o.Value) != 'n':
			response = unwrap(o.Value)
		}
	}
	switch {
	case !o.OK():
		return explain(raw)
	case messages:
		q.flush()
		q.request, q.line = bytes.Clone(raw), line
	case request != nil:
		q.flush()
		q.send(exchange{request, response, line})
	case response != nil:
		q.respond(bytes.Clone(response), line)
	case streamEvents[kind] && kind != "error" || kind == "error" && len(q.events) > 0:
		q.event(raw, kind, line)
	case content && (kind == "message" || kind == "error"):
		q.respond(bytes.Clone(raw), line)
	default:
		return errItem
	}
	return nil
}

// text takes one line of server-sent events; ok is false when it is none.
func (q *pairing) text(line []byte, number int) (ok bool) {
	line = bytes.TrimSpace(line)
	for _, field := range []string{"event:", "id:", "retry:", ":"} {
		if bytes.HasPrefix(line, []byte(field)) {
			return true
		}
	}
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		return false
	}
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		return true
	}
	var kind string
	o := scan.Members(data)
	for o.Next() {
		if string(o.Key) == "type" {
			kind = scan.Text(o.Value)
		}
	}
	if !o.OK() {
		return false
	}
	q.event(data, kind, number)
	return true
}

// event adds an event to the stream that is open, and ends it with its last.
func (q *pairing) event(raw []byte, kind string, line int) {
	if kind == "message_start" && len(q.events) > 0 {
		q.stop(line)
	}
	q.events = append(append(q.events, raw...), '\n')
	if kind == "message_stop" || kind == "error" {
		q.stop(line)
	}
}

func (q *pairing) stop(line int) {
	events := q.events
	q.events = nil
	q.respond(append([]byte("data:"), events...), line)
}

// respond ends the exchange that is open.
func (q *pairing) respond(response []byte, line int) {
	x := exchange{q.request, response, q.line}
	if x.request == nil {
		x.line = line
	}
	q.request = nil
	q.send(x)
}

// flush sends what has no response.
func (q *pairing) flush() {
	if len(q.events) > 0 {
		q.stop(q.line)
	}
	if q.request != nil {
		q.send(exchange{request: q.request, line: q.line})
		q.request = nil
	}
}

func (q *pairing) send(x exchange) {
	q.closed = q.closed || !q.emit(x)
}

// unwrap finds the body in what a log calls a request or a response: the body
// itself, an object with a body, or either as text.
func unwrap(raw []byte) []byte {
	for range 4 {
		if scan.Kind(raw) == '"' {
			text, _ := scan.AppendString(nil, raw)
			raw = bytes.TrimSpace(text)
			continue
		}
		body := member(raw, "body")
		if body == nil {
			return bytes.Clone(raw)
		}
		raw = body
	}
	return bytes.Clone(raw)
}

// member is the value of a member of an object; nil when it has none.
func member(raw []byte, key string) []byte {
	for o := scan.Members(raw); o.Next(); {
		if string(o.Key) == key {
			return o.Value
		}
	}
	return nil
}
