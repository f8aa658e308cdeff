package engine

import (
	"errors"
	"fmt"

	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/ggml"
)

// Reducer adds up a gradient over the ranks that train together.
type Reducer interface {
	// Reduce replaces gradient, F32, by its sum over the ranks, the same bytes on each.
	Reduce(gradient *ggml.Tensor) error
	// String names the way that gradients travel.
	String() string
	Close() error
}

// Parallel is an engine in step with those of other ranks: each accumulates the gradient of its micro-batches, and Step
// applies the sum of all.
type Parallel struct {
	*Engine
	reducer Reducer
}

// Parallel joins the ranks of g, all of which call it. The engine still closes as one; close what is returned instead.
func (e *Engine) Parallel(g *dist.Group) (*Parallel, error) {
	r, err := newReducer(g, e.backend)
	if err != nil {
		return nil, fmt.Errorf("join the gradients of %d ranks: %w", g.Size(), err)
	}
	return &Parallel{Engine: e, reducer: r}, nil
}

// Step is Engine.Step with the gradient of all ranks; every rank must call it.
func (p *Parallel) Step(t int, lr, clip float64) (float64, error) {
	if err := p.reducer.Reduce(p.t.g); err != nil {
		return 0, err
	}
	return p.Engine.Step(t, lr, clip)
}

// Transport names the way that gradients travel.
func (p *Parallel) Transport() string { return p.reducer.String() }

// Close leaves the other ranks and frees the engine. It may be called twice.
func (p *Parallel) Close() error { return errors.Join(p.reducer.Close(), p.Engine.Close()) }

// HostBudget is the MemoryBudget of each of several engines on this machine's processor.
func HostBudget(engines int) (int64, error) {
	free, err := availableMemory()
	return free / 2 / int64(engines), err
}

// newReducer takes NCCL when every rank has it, and else the connections of the group.
func newReducer(g *dist.Group, b *ggml.Backend) (Reducer, error) {
	nccl, reason := findNCCL(b)
	without := []float64{0}
	if reason != nil {
		without[0] = 1
	}
	if err := g.Sum64(without); err != nil {
		return nil, err
	}
	if without[0] == 0 {
		return newDeviceReducer(g, b, nccl)
	}
	r := &hostReducer{group: g, name: "tcp"}
	switch {
	case b.OnHost():
	case reason != nil:
		r.name = fmt.Sprintf("tcp (%v)", reason)
	default:
		r.name = "tcp (another rank has no NCCL)"
	}
	return r, nil
}

func findNCCL(b *ggml.Backend) (*ggml.NCCL, error) {
	if b.OnHost() {
		return nil, ggml.ErrNoNCCL
	}
	return b.Module().NCCL()
}

// hostReducer takes the gradient through memory and TCP.
type hostReducer struct {
	group  *dist.Group
	name   string
	buffer []float32
}

func (r *hostReducer) Reduce(gradient *ggml.Tensor) error {
	if r.buffer == nil {
		r.buffer = make([]float32, gradient.Elements())
	}
	if err := gradient.GetF32(0, r.buffer); err != nil {
		return err
	}
	if err := r.group.Sum32(r.buffer); err != nil {
		return err
	}
	return gradient.SetF32(0, r.buffer)
}

func (r *hostReducer) String() string { return r.name }
func (r *hostReducer) Close() error   { return nil }

// deviceReducer leaves the gradient on the devices.
type deviceReducer struct {
	group *dist.Group
	comm  *ggml.Communicator
}

// newDeviceReducer waits for all ranks to start NCCL, but not for one that was lost meanwhile.
func newDeviceReducer(g *dist.Group, b *ggml.Backend, nccl *ggml.NCCL) (Reducer, error) {
	var id []byte
	var err error
	if g.Leads() {
		if id, err = nccl.UniqueID(); err != nil {
			return nil, err
		}
	}
	if id, err = g.Broadcast(id); err != nil {
		return nil, err
	}
	type started struct {
		comm *ggml.Communicator
		err  error
	}
	done := make(chan started, 1)
	go func() {
		comm, err := b.Communicator(nccl, id, g.Rank(), g.Size())
		done <- started{comm, err}
	}()
	select {
	case s := <-done:
		return &deviceReducer{g, s.comm}, s.err
	case <-g.Failed():
		return nil, g.Err()
	}
}

func (r *deviceReducer) Reduce(gradient *ggml.Tensor) error {
	err := r.comm.AllReduce(gradient, r.group.Failed())
	if lost := r.group.Err(); lost != nil {
		return lost
	}
	return err
}

func (r *deviceReducer) String() string { return "NCCL" }

func (r *deviceReducer) Close() error { return r.comm.Close() }
