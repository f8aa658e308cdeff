package chatlog

import (
	"bytes"
	"sort"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// streamedBlock is a block whose parts come one after the other.
type streamedBlock struct {
	block
	text, input []byte
}

// assembly puts a streamed response together from its events.
type assembly struct {
	p      *parser
	m      message
	blocks map[string]*streamedBlock // by index
	order  []string
	begun  bool
	ended  bool
	failed bool
}

// streamed reads the events of a stream, as lines of server-sent events or as
// JSON objects one after the other, in an array or not. Events of unknown
// types are passed over. A stream without its end was cut and is not used.
func (p *parser) streamed(raw []byte) (m *message, reason string) {
	a := &assembly{p: p, blocks: map[string]*streamedBlock{}}
	if scan.Kind(raw) == '[' {
		for list := scan.Items(raw); list.Next(); {
			a.event(list.Value)
		}
	} else {
		for line := range bytes.Lines(raw) {
			line = bytes.TrimSpace(line)
			if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
				line = bytes.TrimSpace(data)
			}
			a.event(line)
		}
	}
	switch {
	case a.failed:
		return nil, reasonErrorResponse
	case !a.begun || !a.ended:
		return nil, reasonCutStream
	}
	return a.message(), ""
}

func (a *assembly) event(raw []byte) {
	var kind, index string
	var start, inner, delta []byte
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "type":
			kind = a.p.name(o.Value)
		case "index":
			index = string(o.Value)
		case "message":
			start = o.Value
		case "content_block":
			inner = o.Value
		case "delta":
			delta = o.Value
		}
	}
	switch kind {
	case "message_start":
		a.begin(start)
	case "content_block_start":
		a.open(index, inner)
	case "content_block_delta":
		a.extend(index, delta)
	case "message_delta":
		for o := scan.Members(delta); o.Next(); {
			if string(o.Key) == "stop_reason" {
				a.m.StopReason = scan.Text(o.Value)
			}
		}
	case "message_stop":
		a.ended = true
	case "error":
		a.failed = true
	}
}

func (a *assembly) begin(raw []byte) {
	a.begun = true
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "id":
			a.m.ID = scan.Text(o.Value)
		case "model":
			a.m.Model = a.p.name(o.Value)
		}
	}
}

func (a *assembly) open(index string, raw []byte) {
	if a.blocks[index] == nil {
		a.order = append(a.order, index)
	}
	b := &streamedBlock{}
	if scan.Kind(raw) == '{' {
		b.block = a.p.block(raw)
	}
	b.text = []byte(b.Text)
	a.blocks[index] = b
}

// extend adds a delta to its block.
func (a *assembly) extend(index string, raw []byte) {
	b := a.blocks[index]
	if b == nil {
		return
	}
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "text", "thinking":
			b.text, _ = scan.AppendString(b.text, o.Value)
		case "partial_json":
			b.input, _ = scan.AppendString(b.input, o.Value)
		}
	}
}

// message is what the events add up to, blocks in the order of their index.
func (a *assembly) message() *message {
	sort.SliceStable(a.order, func(i, j int) bool {
		x, y := a.order[i], a.order[j]
		return len(x) < len(y) || len(x) == len(y) && x < y
	})
	for _, index := range a.order {
		b := a.blocks[index]
		b.Text = string(b.text)
		if len(b.input) > 0 {
			b.Input = b.input
		}
		if b.Type == blockToolUse && a.p.tools != nil {
			a.p.tools.learn(b.Name, b.Input)
		}
		a.m.blocks = append(a.m.blocks, b.block)
	}
	return &a.m
}
