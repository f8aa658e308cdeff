package chatlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/qlora/qlora/internal/prep"
)

// task is a piece of the input that one worker reads: a whole session file, or
// some conversations of a larger file.
type task struct {
	source source
	// unit numbers the first session of the task among all sessions: the number
	// of its file above 32 bits, its number in the file below.
	unit uint64
	load func(p *parser) (*reading, error)
}

// batchBytes is how much of a file with many conversations makes one task.
const batchBytes = 4 << 20

// feeder cuts the input into tasks, always in the same way.
type feeder struct {
	ctx      context.Context
	progress func(int64)
	emit     func(task) bool
}

var errStopped = errors.New("stopped")

func (f *feeder) all(sources []source) error {
	for i, src := range sources {
		var err error
		unit := uint64(i) << 32
		switch src.kind {
		case kindExport:
			err = f.values(src, unit, f.exports)
		case kindAPI:
			err = f.values(src, unit, f.exchanges)
		case kindBatch, kindResults:
			err = f.values(src, unit, f.batches)
		case kindStream:
			err = f.whole(src, unit, readCapture)
		default:
			err = f.whole(src, unit, readSession)
		}
		if errors.Is(err, errStopped) {
			return context.Cause(f.ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// whole emits a file as one task.
func (f *feeder) whole(src source, unit uint64, read func(context.Context, source, *parser, func(int64)) (*reading, error)) error {
	return f.give(task{source: src, unit: unit, load: func(p *parser) (*reading, error) {
		return read(f.ctx, src, p, f.progress)
	}})
}

func (f *feeder) give(t task) error {
	if !f.emit(t) {
		return errStopped
	}
	return nil
}

// values opens a file with many conversations and cuts it up. What could not
// be read of it makes a task without sessions.
func (f *feeder) values(src source, unit uint64, cut func(*cutter) error) error {
	c := &cutter{feeder: f, src: src, unit: unit, rd: newReading()}
	files := append([]source{src}, src.replies...)
	for _, file := range files {
		if err := c.open(file, cut); err != nil {
			return err
		}
	}
	if err := c.finish(); err != nil {
		return err
	}
	rd := c.rd
	return f.give(task{source: src, unit: c.unit, load: func(*parser) (*reading, error) { return rd, nil }})
}

// cutter is the state of cutting up one file.
type cutter struct {
	*feeder
	src   source
	file  source // the one being read: src, or one with replies to it
	unit  uint64
	rd    *reading // lines and problems
	r     *bufio.Reader
	items []exchange // of the batch to come; an export's are its responses
	bytes int
	pairs pairing
	joins *joiner
	end   func() // sends what was held back
	load  func(p *parser, name string, x exchange) (*session, string, error)
	err   error
}

func (c *cutter) open(file source, cut func(*cutter) error) error {
	c.file = file
	s, err := file.open(c.progress)
	if err == nil {
		defer s.Close()
		c.r = bufio.NewReaderSize(s, 256<<10)
		err = cut(c)
	}
	if damaged(err) {
		c.rd.problem(file.name, 0, reasonDamaged, err.Error())
		return nil
	}
	return err
}

// add puts one conversation into the batch.
func (c *cutter) add(x exchange) bool {
	c.items = append(c.items, x)
	c.bytes += len(x.request) + len(x.response)
	if c.bytes >= batchBytes {
		c.err = c.flush()
	}
	return c.err == nil
}

// finish emits what is left.
func (c *cutter) finish() error {
	if c.end != nil {
		c.end()
	}
	if c.err != nil {
		return c.err
	}
	return c.flush()
}

// flush emits the batch.
func (c *cutter) flush() error {
	items, load, src := c.items, c.load, c.src
	if len(items) == 0 {
		return nil
	}
	t := task{source: src, unit: c.unit, load: func(p *parser) (*reading, error) {
		rd := newReading()
		for _, x := range items {
			s, reason, err := load(p, src.name, x)
			rd.reasons.Add(reason, oneIf(reason != ""))
			if err != nil {
				rd.problem(src.name, x.line, reasonMalformed, err.Error())
			}
			if s == nil {
				s = newSession(src.name, nil)
			}
			rd.types.Add(string(src.kind), 1)
			rd.sessions = append(rd.sessions, s) // empty ones too: their numbers count
		}
		return rd, nil
	}}
	c.unit += uint64(len(items))
	c.items, c.bytes = nil, 0
	return c.give(t)
}

// exports cuts up a claude.ai export.
func (f *feeder) exports(c *cutter) error {
	c.load = func(p *parser, name string, x exchange) (*session, string, error) {
		s, err := p.exported(name, x.response)
		return s, "", err
	}
	return c.each(func(data []byte, line int) error {
		c.add(exchange{response: bytes.Clone(data), line: line})
		return c.err
	}, func([]byte, int) bool { return false })
}

// exchanges cuts up a log of the Messages API.
func (f *feeder) exchanges(c *cutter) error {
	c.load = func(p *parser, name string, x exchange) (*session, string, error) { return p.apiSession(name, x) }
	c.pairs.emit, c.end = c.add, c.pairs.flush
	return c.each(func(data []byte, line int) error {
		if err := c.pairs.object(data, line); err != nil {
			c.rd.problem(c.file.name, line, reasonMalformed, err.Error())
		}
		return c.err
	}, c.pairs.text)
}

// each gives every JSON value of the file to take, and every line that is none
// to text.
func (c *cutter) each(take func(data []byte, line int) error, text func(line []byte, number int) bool) error {
	head, err := c.r.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if len(head) > 0 && (head[0] == '[' || spread(head) || requestList.Match(head)) {
		return c.eachValue(take)
	}
	return c.eachLine(take, text)
}

func (c *cutter) eachValue(take func(data []byte, line int) error) error {
	all := newValues(c.r, prep.MaxLine)
	var buf []byte
	for {
		if c.ctx.Err() != nil {
			return errStopped
		}
		var v value
		var err error
		v, buf, err = all.next(buf)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTorn), errors.Is(err, errLayout):
			c.rd.problem(c.file.name, all.line, reasonTorn, err.Error())
			return nil
		case err != nil:
			return fmt.Errorf("read session log %s: %w", c.file.name, err)
		}
		c.rd.lines++
		if v.tooLong {
			c.rd.problem(c.file.name, v.line, reasonTooLong, "")
			continue
		}
		if err := take(v.data, v.line); err != nil {
			return err
		}
	}
}

func (c *cutter) eachLine(take func(data []byte, line int) error, text func(line []byte, number int) bool) error {
	lines := prep.NewLines(c.r, 0)
	for {
		line, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read session log %s: %w", c.file.name, err)
		case c.ctx.Err() != nil:
			return errStopped
		}
		c.rd.lines++
		data := bytes.TrimSpace(bytes.TrimPrefix(line.Data, []byte("\ufeff")))
		switch {
		case line.TooLong:
			c.rd.problem(c.file.name, line.Number, reasonTooLong, "")
		case len(data) == 0 || text(data, line.Number):
		case data[0] != '{':
			c.rd.malformed(c.file.name, line, explain(data))
		default:
			if err := take(data, line.Number); err != nil {
				return err
			}
		}
	}
}
