// Package child keeps an engine alive in a process of its own: a fault in
// native code ends that process alone, and another takes its place.
package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/qlora/qlora/internal/serve/engine"
	"github.com/qlora/qlora/internal/serve/wire"
)

// Process is a started engine.
type Process struct {
	Conn net.Conn     // to speak with it
	Wait func() error // waits until it has ended
	Kill func()
}

// Options says how to keep an engine alive.
type Options struct {
	Start func() (*Process, error)
	Log   func(format string, args ...any) // warns of ends and of starts that fail
	Back  func()                           // told when one has started again; may be nil
	// Pause is how long to wait before the first start in a row [250 ms]; each
	// further one doubles it, up to half a minute.
	Pause time.Duration
}

const (
	longestPause = 30 * time.Second
	healthy      = time.Minute     // from which on a process counts as one that works
	grace        = 5 * time.Second // between asking a process to end and killing it
)

// Child is an Engine whose process is started again when it ends.
type Child struct {
	o    Options
	stop context.CancelFunc
	done chan struct{}

	mu       sync.Mutex
	client   *wire.Client // nil while there is none
	info     engine.Info  // of the last one
	restarts int
}

// New starts the first process and waits until it has loaded its model. The
// caller closes the Child.
func New(ctx context.Context, o Options) (*Child, error) {
	if o.Pause <= 0 {
		o.Pause = 250 * time.Millisecond
	}
	p, client, err := start(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &Child{o: o, stop: stop, done: make(chan struct{}), client: client, info: client.Info()}
	go func() {
		defer close(c.done)
		c.keep(ctx, p, client)
	}()
	return c, nil
}

// start runs a process up to its greeting.
func start(ctx context.Context, o Options) (*Process, *wire.Client, error) {
	p, err := o.Start()
	if err != nil {
		return nil, nil, fmt.Errorf("start the engine: %w", err)
	}
	unhook := context.AfterFunc(ctx, func() { _ = p.Conn.Close() })
	client, err := wire.Dial(p.Conn)
	if !unhook() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return p, client, nil
	}
	ended := end(p)
	var load *wire.LoadError
	if errors.As(err, &load) || ctx.Err() != nil {
		return nil, nil, err
	}
	return nil, nil, fmt.Errorf("start the engine: %w", errors.Join(err, ended))
}

// keep serves one process after the other until ctx ends.
func (c *Child) keep(ctx context.Context, p *Process, client *wire.Client) {
	pause := c.o.Pause
	for {
		began := time.Now()
		unhook := context.AfterFunc(ctx, func() { _ = p.Conn.Close() })
		_ = client.Receive() // how it ended is told by the process
		unhook()
		c.set(nil)
		err := end(p)
		if ctx.Err() != nil {
			return
		}
		c.o.Log("the engine ended (%v); starting another", describe(err))
		if time.Since(began) > healthy {
			pause = c.o.Pause
		}
		if p, client, pause = c.again(ctx, pause); p == nil {
			return
		}
		c.set(client)
		if c.o.Back != nil {
			c.o.Back()
		}
	}
}

// again starts processes, with longer and longer pauses, until one loads.
func (c *Child) again(ctx context.Context, pause time.Duration) (*Process, *wire.Client, time.Duration) {
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, pause
		}
		pause = min(2*pause, longestPause)
		p, client, err := start(ctx, c.o)
		if err == nil {
			return p, client, pause
		}
		if ctx.Err() != nil {
			return nil, nil, pause
		}
		c.o.Log("the engine did not start: %v; trying again in %s", err, pause)
	}
}

// end asks a process to end by closing its connection, then makes it.
func end(p *Process) error {
	_ = p.Conn.Close()
	killer := time.AfterFunc(grace, p.Kill)
	defer killer.Stop()
	return p.Wait()
}

func describe(err error) string {
	if err == nil {
		return "without an error"
	}
	return err.Error()
}

func (c *Child) set(client *wire.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client = client
	if client != nil {
		c.info = client.Info()
		c.restarts++
	}
}

// Info implements engine.Engine; it stays known while the process is away.
func (c *Child) Info() engine.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// Ready tells whether there is a process to ask.
func (c *Child) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client != nil
}

// Restarts is how often a process had to be replaced.
func (c *Child) Restarts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restarts
}

// Generate implements engine.Engine.
func (c *Child) Generate(ctx context.Context, r engine.Request) (*engine.Stream, error) {
	c.mu.Lock()
	client := c.client
	c.mu.Unlock()
	if client == nil {
		return nil, engine.Errorf(engine.Unavailable, "the engine is being started again; try in a moment")
	}
	return client.Generate(ctx, r)
}

// Close ends the process and waits for it.
func (c *Child) Close() {
	c.stop()
	<-c.done
}
