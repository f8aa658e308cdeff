package chatlog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// joiner puts results of the Message Batches API to their requests, which have
// the same custom_id. Results come in any order, so requests are held in memory
// until all was read; the API takes at most 256 MB of them in a batch.
type joiner struct {
	emit     func(exchange) bool
	left     prep.Tally
	requests map[string]*batchRequest // by custom_id; nil where two have it
	order    []*batchRequest
}

type batchRequest struct {
	exchange
	result   bool // there was one
	answered bool // with a message
}

func newJoiner(emit func(exchange) bool, left prep.Tally) *joiner {
	return &joiner{emit: emit, left: left, requests: map[string]*batchRequest{}}
}

var (
	errNoID   = errors.New("neither a request nor a result of a batch")
	errSameID = errors.New("two requests have this custom_id, none of them is used")
)

// item takes one request or one result.
func (j *joiner) item(raw []byte, line int) error {
	var id string
	var params, result []byte
	o := scan.Members(raw)
	for o.Next() {
		switch string(o.Key) {
		case "custom_id":
			id = scan.Text(o.Value)
		case "params":
			params = o.Value
		case "result":
			result = o.Value
		}
	}
	switch {
	case !o.OK():
		return explain(raw)
	case id == "" || scan.Kind(params) != '{' && scan.Kind(result) != '{':
		return errNoID
	case scan.Kind(params) == '{':
		return j.request(id, params, line)
	}
	j.result(id, result, line)
	return nil
}

// request holds a request. Of two with one id the results cannot be told apart.
func (j *joiner) request(id string, params []byte, line int) error {
	old, known := j.requests[id]
	switch {
	case !known:
		r := &batchRequest{exchange: exchange{request: bytes.Clone(params), line: line}}
		j.requests[id] = r
		j.order = append(j.order, r)
	case old != nil && bytes.Equal(old.request, params):
		j.left.Add(reasonCopy, 1)
	default:
		if old != nil {
			old.request, j.requests[id] = nil, nil
		}
		return fmt.Errorf("%q: %w", id, errSameID)
	}
	return nil
}

// result emits a message with its request. One that has no request goes alone.
func (j *joiner) result(id string, result []byte, line int) {
	r := j.requests[id]
	switch {
	case r == nil:
		j.emit(exchange{response: bytes.Clone(result), line: line})
	case scan.Text(member(result, "type")) != "succeeded":
		r.result = true
		j.left.Add(reasonBatchFailed, 1)
	default:
		r.result, r.answered = true, true
		j.emit(exchange{r.request, bytes.Clone(result), r.line})
	}
}

// flush emits the requests without an answer: they may hold earlier ones.
func (j *joiner) flush() {
	for _, r := range j.order {
		if r.request == nil || r.answered {
			continue
		}
		if !r.result {
			j.left.Add(reasonNoBatchResult, 1)
		}
		j.emit(r.exchange)
	}
}

// batches cuts up the requests of Message Batches and the results that were
// found for them.
func (f *feeder) batches(c *cutter) error {
	c.load = func(p *parser, name string, x exchange) (*session, string, error) { return p.apiSession(name, x) }
	if c.joins == nil {
		c.joins = newJoiner(c.add, c.rd.reasons)
		c.end = c.joins.flush
	}
	return c.eachItem(func(raw []byte, line int) error {
		if err := c.joins.item(raw, line); err != nil {
			c.rd.problem(c.file.name, line, reasonMalformed, err.Error())
		}
		return c.err
	})
}

// eachItem gives every request or result of a file to take: the lines, or what
// the body of the call that made a batch lists.
func (c *cutter) eachItem(take func(raw []byte, line int) error) error {
	return c.each(func(data []byte, line int) error {
		list := member(data, "requests")
		if list == nil {
			return take(data, line)
		}
		items := scan.Items(list)
		for items.Next() {
			if err := take(items.Value, line); err != nil {
				return err
			}
		}
		if !items.OK() {
			c.rd.problem(c.file.name, line, reasonMalformed, fmt.Errorf("requests: %w", errNotList).Error())
		}
		return nil
	}, func([]byte, int) bool { return false })
}
