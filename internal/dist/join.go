package dist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Options are the patience of a group; the zero value is replaced by defaults.
type Options struct {
	Join    time.Duration // for all ranks to come together; 2 minutes
	Beat    time.Duration // between signs of life; 2 seconds
	Silence time.Duration // without one, after which a rank is lost; 30 seconds
	// Listener, when set, is where rank 0 listens, opened before.
	Listener net.Listener
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&o.Join, 2 * time.Minute}, {&o.Beat, 2 * time.Second}, {&o.Silence, 30 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	return o
}

// hello is how a rank introduces itself.
type hello struct {
	Protocol string `json:"protocol"`
	Rank     int    `json:"rank"`
	Size     int    `json:"size"`
	Token    string `json:"token"`
}

const protocol = "qlora ranks 1"

// welcome is the answer, once all ranks are there; Refused says why not.
type welcome struct {
	Refused string `json:"refused,omitempty"`
}

// maxGreeting bounds both, since anyone may connect.
const maxGreeting = 4096

// Join meets the other ranks of w: rank 0 listens at the port of w.Addr, the
// others try until it does.
func Join(ctx context.Context, w World, o Options) (*Group, error) {
	o = o.withDefaults()
	meet := follow
	if w.Rank == 0 {
		meet = lead
	}
	links, err := meet(ctx, w, o)
	if err != nil {
		return nil, err
	}
	return newGroup(w, o, links), nil
}

// lead waits for all other ranks and welcomes them, or refuses those that came.
func lead(ctx context.Context, w World, o Options) ([]*link, error) {
	ln, err := listen(w, o)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(ctx, o.Join)
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	links := make([]*link, w.Size) // by rank, that of 0 stays nil
	came := 1
	for came < w.Size && err == nil {
		var l *link
		if l, err = accept(ctx, ln, w, links, o); l != nil {
			links[l.rank] = l
			came++
		}
	}
	answer := welcome{}
	if err != nil {
		answer.Refused = "rank 0 gave up: " + err.Error()
	}
	for _, l := range links {
		if l != nil {
			err = errors.Join(err, greet(l, kindWelcome, answer))
		}
	}
	if err != nil {
		closeAll(links)
		return nil, fmt.Errorf("bring %d ranks together at %s: %w", w.Size, w.Addr, err)
	}
	return links[1:], nil
}

// listen opens the port: on this machine alone where the address says so.
func listen(w World, o Options) (net.Listener, error) {
	if o.Listener != nil {
		return o.Listener, nil
	}
	host, port, err := net.SplitHostPort(w.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the other ranks: %w", err)
	}
	if !loopback(host) {
		host = "" // a name may lead to an address that the others do not reach
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen for the other ranks at port %s (MASTER_PORT): %w", port, err)
	}
	return ln, nil
}

// accept takes one connection. It returns nothing where that was not one of
// ours, and an error that ends the waiting.
func accept(ctx context.Context, ln net.Listener, w World, links []*link, o Options) (*link, error) {
	conn, err := ln.Accept()
	if ctx.Err() != nil {
		return nil, tooLate(ctx, w, links, o)
	}
	if err != nil {
		return nil, err
	}
	l := newLink(-1, conn)
	var h hello
	if err := hear(l, kindHello, o.Beat, &h); err != nil || h.Protocol != protocol {
		conn.Close() // a stranger
		return nil, nil
	}
	refuse := func(text string) { _ = errors.Join(greet(l, kindWelcome, welcome{text}), conn.Close()) }
	switch {
	case h.Token != w.Token:
		refuse(fmt.Sprintf("another run waits at this port (run token %q, not %q)", w.Token, h.Token))
		return nil, nil
	case h.Size != w.Size || h.Rank < 1 || h.Rank >= w.Size:
		text := fmt.Sprintf("one came as rank %d of %d, where rank 0 has %d ranks (WORLD_SIZE)", h.Rank, h.Size, w.Size)
		refuse(text)
		return nil, errors.New(text)
	case links[h.Rank] != nil:
		text := fmt.Sprintf("two processes are rank %d (%s)", h.Rank, w.Source)
		refuse(text)
		return nil, errors.New(text)
	}
	l.rank = h.Rank
	return l, nil
}

// tooLate names the ranks that did not come.
func tooLate(ctx context.Context, w World, links []*link, o Options) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	var missing []string
	for rank := 1; rank < w.Size; rank++ {
		if links[rank] == nil {
			missing = append(missing, fmt.Sprint(rank))
		}
	}
	return fmt.Errorf("rank %s did not come within %s", strings.Join(missing, ", "), o.Join)
}

// follow connects to rank 0 and waits to be welcomed.
func follow(ctx context.Context, w World, o Options) ([]*link, error) {
	conn, err := dial(ctx, w.Addr, o)
	if err != nil {
		return nil, fmt.Errorf("reach rank 0 at %s (MASTER_ADDR, MASTER_PORT): %w", w.Addr, err)
	}
	l := newLink(0, conn)
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	err = greet(l, kindHello, hello{protocol, w.Rank, w.Size, w.Token})
	var answer welcome
	if err == nil {
		err = hear(l, kindWelcome, o.Join+o.Beat, &answer)
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		err = ctx.Err()
	case err != nil:
		err = fmt.Errorf("it answered and went away: %w", err)
	case answer.Refused != "":
		err = errors.New(answer.Refused)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("join rank 0 at %s as rank %d: %w", w.Addr, w.Rank, err)
	}
	return []*link{l}, nil
}

// dial tries until rank 0 listens.
func dial(ctx context.Context, addr string, o Options) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Join)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("no answer within %s: %w", o.Join, err)
		}
	}
}

func greet(l *link, kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.send(frame{kind: kind, payload: text})
}

func hear(l *link, kind byte, patience time.Duration, v any) error {
	f, err := l.receive(patience, maxGreeting)
	if err != nil {
		return err
	}
	if f.kind != kind {
		return errors.New("it does not speak our protocol")
	}
	return json.Unmarshal(f.payload, v)
}

func closeAll(links []*link) {
	for _, l := range slices.Backward(links) {
		if l != nil {
			l.conn.Close()
		}
	}
}
