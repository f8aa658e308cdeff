package dist

import (
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"
)

// Group is the ranks that came together. All ranks make the same calls in the
// same order, from one goroutine each; Err, Failed, Abort and Close may be
// called from any.
type Group struct {
	world  World
	o      Options
	links  []*link // of rank 0 one to each other rank, in order; of the others one, to rank 0
	seq    uint32  // of the newest call
	failed chan struct{}
	once   sync.Once
	err    error // set before failed is closed
	closed chan struct{}
	close  sync.Once
	reads  sync.WaitGroup
}

func newGroup(w World, o Options, links []*link) *Group {
	g := &Group{world: w, o: o, links: links, failed: make(chan struct{}), closed: make(chan struct{})}
	for _, l := range links {
		g.reads.Go(func() { g.read(l) })
		go g.beat(l)
	}
	return g
}

// Rank is the number of this process among Size, from 0.
func (g *Group) Rank() int {
	if g == nil {
		return 0
	}
	return g.world.Rank
}

// Size is the number of processes.
func (g *Group) Size() int {
	if g == nil {
		return 1
	}
	return g.world.Size
}

// Leads tells whether this is rank 0, which alone talks and writes.
func (g *Group) Leads() bool { return g.Rank() == 0 }

// World is where this process stands, nil for one alone.
func (g *Group) World() *World {
	if g == nil {
		return nil
	}
	return &g.world
}

// Failed is closed when a rank has failed; Err then says which and why.
func (g *Group) Failed() <-chan struct{} {
	if g == nil {
		return nil
	}
	return g.failed
}

// Err is why the group cannot go on, or nil. It costs next to nothing, so that
// a rank can look before each longer piece of work.
func (g *Group) Err() error {
	if g == nil {
		return nil
	}
	select {
	case <-g.failed:
		return g.err
	default:
		return nil
	}
}

// read takes frames from one rank until it ends.
func (g *Group) read(l *link) {
	gone := false
	for {
		f, err := l.receive(g.o.Silence, maxPayload)
		switch {
		case err != nil:
			if !gone {
				g.fail(&PeerError{Rank: l.rank, Code: 1, Text: lost(err, g.o.Silence)})
			}
			return
		case f.kind == kindAbort:
			g.fail(decodeAbort(f.payload, l.rank))
			return
		case f.kind == kindBeat:
			continue
		}
		gone = gone || f.kind == kindBye
		select {
		case l.in <- f:
		case <-g.failed:
			return
		case <-g.closed:
		}
	}
}

// beat tells a rank now and then that this one lives, however long it computes.
func (g *Group) beat(l *link) {
	ticks := time.NewTicker(g.o.Beat)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			if l.send(frame{kind: kindBeat}) != nil {
				return // the reader says why
			}
		case <-g.failed:
			return
		case <-g.closed:
			return
		}
	}
}

// lastWords is how long a failing rank tries to tell the others.
const lastWords = 2 * time.Second

// fail records the first failure, after passing it on. It returns that one.
func (g *Group) fail(e *PeerError) error {
	g.once.Do(func() {
		g.err = e
		text, err := json.Marshal(e)
		if err != nil {
			text = nil // the rank alone, then
		}
		for _, l := range g.links {
			l.conn.SetWriteDeadline(time.Now().Add(lastWords)) // also ends a write that hangs
		}
		for _, l := range g.links {
			_ = l.send(frame{kind: kindAbort, payload: text}) // it may be gone as well
		}
		close(g.failed)
	})
	<-g.failed
	return g.err
}

func decodeAbort(payload []byte, from int) *PeerError {
	e := &PeerError{}
	if json.Unmarshal(payload, e) != nil {
		return &PeerError{Rank: from, Code: 1, Text: "failed"}
	}
	return e
}

// Abort ends the group because of a failure of this rank: the others get a
// PeerError with the exit code and the text of err. Nothing happens when err is
// nil or the group has failed before.
func (g *Group) Abort(code int, err error) {
	if g == nil || err == nil {
		return
	}
	g.fail(&PeerError{Rank: g.world.Rank, Code: code, Text: "failed: " + err.Error(), Told: true})
}

// Close says goodbye and waits a moment for the others to do so.
func (g *Group) Close() error {
	if g == nil {
		return nil
	}
	g.close.Do(func() {
		close(g.closed)
		for _, l := range g.links {
			l.conn.SetWriteDeadline(time.Now().Add(lastWords))
			_ = l.send(frame{kind: kindBye}) // a peer that is gone has been noticed, or need not be
			if tcp, ok := l.conn.(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
		}
		ended := make(chan struct{})
		go func() { g.reads.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(lastWords):
		}
		closeAll(g.links)
	})
	return nil
}

// next starts a call.
func (g *Group) next() error {
	select {
	case <-g.closed:
		return ErrClosed
	default:
	}
	g.seq++
	return g.Err()
}

func (g *Group) send(l *link, op byte, payload []byte) error {
	if err := l.send(frame{kindData, op, g.seq, payload}); err != nil {
		return g.fail(&PeerError{Rank: l.rank, Code: 1, Text: lost(err, g.o.Silence)})
	}
	return nil
}

func (g *Group) receive(l *link, op byte) ([]byte, error) {
	var f frame
	select {
	case f = <-l.in:
	case <-g.failed:
		return nil, g.err
	}
	switch {
	case f.kind == kindBye:
		return nil, g.fail(&PeerError{Rank: l.rank, Code: 1, Text: "ended early"})
	case f.op != op || f.seq != g.seq:
		return nil, g.fail(&PeerError{Rank: l.rank, Code: 1, Text: fmt.Sprintf("is out of step: call %d of kind %d, where rank %d is at %d of kind %d",
			f.seq, f.op, g.world.Rank, g.seq, op)})
	}
	return f.payload, nil
}
