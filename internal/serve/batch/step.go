package batch

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/qlora/qlora/internal/serve/engine"
)

// step computes one decode for the adapter whose turn it is: one token of each
// of its sequences that generates, and as much of the prompts of the others as
// fits.
func (s *Scheduler) step() {
	s.turn = s.nextTurn()
	s.decodes++
	group := s.gather()
	if err := s.compute(); err != nil {
		for _, q := range group {
			s.ctx.Forget(int32(q.slot), 0)
			s.slots[q.slot].tokens = nil
			s.fail(q, err)
		}
		return
	}
	var ready []*sequence
	for _, q := range group {
		if q.out >= 0 {
			ready = append(ready, q)
		}
	}
	s.choose(ready)
	for _, q := range ready {
		s.advance(q)
	}
}

// nextTurn is the next adapter, in a circle, that has a sequence.
func (s *Scheduler) nextTurn() int {
	n := len(s.options.Adapters) + 1 // the base counts
	for i := 1; i <= n; i++ {
		adapter := (s.turn+1+i)%n - 1
		for k := range s.slots {
			if q := s.slots[k].seq; q != nil && q.adapter == adapter {
				return adapter
			}
		}
	}
	return s.turn
}

// gather fills the batch and returns the sequences that are in it. Tokens come
// in the order of slots: libllama joins only adjacent ones.
func (s *Scheduler) gather() []*sequence {
	room := s.ctx.Options().Batch
	for k := range s.slots {
		if q := s.slots[k].seq; q != nil && q.adapter == s.turn && !q.prefilling() {
			room--
		}
	}
	s.batch.Reset()
	var group []*sequence
	for k := range s.slots {
		q := s.slots[k].seq
		if q == nil || q.adapter != s.turn {
			continue
		}
		q.out = -1
		if q.prefilling() {
			n := min(room, len(q.prompt)-q.done)
			if n <= 0 {
				continue
			}
			room -= n
			s.addPrompt(q, n)
		} else {
			s.addToken(q)
		}
		group = append(group, q)
	}
	return group
}

func (s *Scheduler) addPrompt(q *sequence, n int) {
	slot := &s.slots[q.slot]
	for _, t := range q.prompt[q.done : q.done+n] {
		q.done++
		whole := q.done == len(q.prompt)
		if whole {
			q.out = s.batch.Len()
		}
		s.batch.Add(t, int32(len(slot.tokens)), int32(q.slot), whole)
		slot.tokens = append(slot.tokens, t)
	}
}

func (s *Scheduler) addToken(q *sequence) {
	slot := &s.slots[q.slot]
	q.out = s.batch.Len()
	s.batch.Add(q.last, int32(len(slot.tokens)), int32(q.slot), true)
	slot.tokens = append(slot.tokens, q.last)
}

func (s *Scheduler) compute() error {
	if err := s.apply(s.turn); err != nil {
		return err
	}
	return s.ctx.Decode(s.batch)
}

// sampledPerWorker is how many logits keep one worker busy for about a
// millisecond: with fewer, waiting for another costs more than it does.
const sampledPerWorker = 1 << 18

// choose samples a token for each sequence, on several processors when that is
// much work: over a large vocabulary it takes as long as the decode.
func (s *Scheduler) choose(ready []*sequence) {
	if len(ready) == 0 {
		return
	}
	s.ctx.Logits(ready[0].out) // puts the outputs in order, which must happen once
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; int(i) < len(ready); i = next.Add(1) - 1 {
			ready[i].chosen = s.sample(ready[i])
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(ready), len(ready)*s.info_.VocabSize/sampledPerWorker) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

func (s *Scheduler) sample(q *sequence) choice {
	token, err := q.sampler.Sample(s.ctx, q.out)
	if err != nil {
		return choice{err: err}
	}
	c := choice{token: token}
	if q.request.Logprobs >= 0 {
		c.logprob = logprob(s.ctx, q.out, token, q.request.Logprobs)
	}
	return c
}

// advance takes the token chosen for q.
func (s *Scheduler) advance(q *sequence) {
	c := q.chosen
	if c.err != nil {
		s.fail(q, engine.Errorf(engine.Internal, "choose a token: %v", c.err))
		return
	}
	v := s.ctx.Model().Vocab()
	if v.EndsGeneration(c.token) && !q.request.EndLess {
		s.finish(q, engine.ReasonStop)
		return
	}
	q.last = c.token
	q.generated++
	if c.logprob != nil {
		q.logprobs = append(q.logprobs, *c.logprob)
	}
	text := q.text.Add(c.token)
	if q.request.Control && v.Control(c.token) {
		text = q.text.Flush() + v.Decode([]int32{c.token})
	}
	shown, stopped := q.stops.add(text)
	s.show(q, shown)
	switch {
	case stopped:
		s.finish(q, engine.ReasonStop)
	case q.request.Limit > 0 && q.generated >= q.request.Limit,
		len(s.slots[q.slot].tokens) >= s.options.Ctx: // the context has no room for this token
		s.finish(q, engine.ReasonLength)
	}
}

func (s *Scheduler) show(q *sequence, text string) {
	if text == "" {
		return
	}
	s.items = append(s.items, engine.Item{ID: q.id, Event: engine.Event{Text: text, Logprobs: q.logprobs}})
	q.logprobs = nil
}

// finish ends an answer with what was held back.
func (s *Scheduler) finish(q *sequence, reason string) {
	rest := ""
	if !q.stops.found {
		rest = q.stops.rest() + q.text.Flush()
	}
	e := engine.Event{Text: rest, Logprobs: q.logprobs, Finish: &engine.Finish{
		Reason: reason, Prompt: len(q.prompt), Cached: q.cached, Generated: q.generated,
	}}
	s.items = append(s.items, engine.Item{ID: q.id, Event: e})
	s.end(q)
}
