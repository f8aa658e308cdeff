package dist

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Sums have the bytes of adding up rank by rank, whatever the length.
func TestSums(t *testing.T) {
	const seed = 3
	for _, size := range []int{2, 3, 5} {
		for _, n := range []int{0, 1, 1000, chunkBytes/4 - 1, chunkBytes / 4, 3*chunkBytes/4 + 17} {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			given32, given64 := make([][]float32, size), make([][]float64, size)
			want32, want64 := make([]float32, n), make([]float64, n)
			for rank := range size {
				for i := range n {
					x := r.NormFloat64() * math.Exp(20*r.Float64())
					given32[rank], given64[rank] = append(given32[rank], float32(x)), append(given64[rank], x)
					want32[i] += float32(x)
					want64[i] += x
				}
			}
			must(t, each(t, size, Options{}, func(g *Group) error {
				v32, v64 := given32[g.Rank()], given64[g.Rank()]
				if err := errors.Join(g.Sum32(v32), g.Sum64(v64)); err != nil {
					return err
				}
				if !slices.Equal(v32, want32) || !slices.Equal(v64, want64) {
					return fmt.Errorf("seed %d: the sum of %d values of %d ranks is not that of the ranks in order", seed, n, size)
				}
				return nil
			}))
		}
	}
}

func TestSumOfUnequalLengths(t *testing.T) {
	for rank, err := range each(t, 2, quick, func(g *Group) error { return g.Sum32(make([]float32, 3+g.Rank())) }) {
		if !strings.Contains(text(err), "sent 16 bytes of a vector, 3 values are added up") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

func TestBroadcastAndAgree(t *testing.T) {
	id := bytes.Repeat([]byte("unique"), 30)
	must(t, each(t, 3, Options{}, func(g *Group) error {
		var mine []byte
		if g.Leads() {
			mine = id
		}
		got, err := g.Broadcast(mine)
		if err != nil || !bytes.Equal(got, id) {
			return fmt.Errorf("broadcast %q, %v", got, err)
		}
		return errors.Join(g.Agree(map[string]string{"rank": "16"}), g.Barrier())
	}))
	for rank, err := range each(t, 3, Options{}, func(g *Group) error {
		mine := map[string]string{"rank": "16", "seed": "1"}
		switch g.Rank() {
		case 1:
			mine["rank"] = "8"
		case 2:
			delete(mine, "seed")
		}
		return g.Agree(mine)
	}) {
		var m *Mismatch
		if !errors.As(err, &m) || m.Text != `rank is "16" on rank 0 and "8" on rank 1; seed is "1" on rank 0 and "" on rank 2` {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// A failure anywhere reaches all ranks with its rank, text and exit code.
func TestAbortReachesAll(t *testing.T) {
	for bad := range 3 {
		for rank, err := range each(t, 3, Options{}, func(g *Group) error {
			if g.Rank() == bad {
				return errors.New("out of memory")
			}
			return g.Barrier()
		}) {
			var p *PeerError
			if rank == bad {
				continue
			}
			if !errors.As(err, &p) || p.Rank != bad || p.Code != 7 || p.Error() != fmt.Sprintf("rank %d failed: out of memory", bad) {
				t.Errorf("rank %d failed, rank %d says: %v", bad, rank, err)
			}
		}
	}
}

// A rank that dies, or whose machine does, ends the others soon.
func TestLostRanks(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(g *Group)
		want string
	}{
		"dies":        {func(g *Group) { closeAll(g.links) }, "rank 1 was lost"},
		"falls still": {func(g *Group) { g.links[0].writing.Lock() }, "rank 1 was lost: no sign of it for 1s"},
		"leaves":      {func(g *Group) { g.Close() }, "rank 1 ended early"},
	} {
		start := time.Now()
		for rank, err := range each(t, 3, quick, func(g *Group) error {
			if g.Rank() == 1 {
				c.lose(g)
				select {
				case <-g.Failed():
				case <-time.After(3 * time.Second):
				}
				if name == "falls still" {
					g.links[0].writing.Unlock()
				}
				return nil
			}
			return g.Sum32(make([]float32, chunkBytes))
		}) {
			if rank != 1 && !strings.Contains(text(err), c.want) {
				t.Errorf("%s: rank %d: %v", name, rank, err)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: the others noticed after %s", name, took)
		}
	}
}

// A rank that computes for long still shows that it lives, and one that is full
// of unread data is not taken for lost.
func TestSlowRanksAreNotLost(t *testing.T) {
	o := quick
	o.Silence = 300 * time.Millisecond
	must(t, each(t, 3, o, func(g *Group) error {
		time.Sleep(time.Duration(g.Size()-1-g.Rank()) * 600 * time.Millisecond)
		if err := g.Sum32(make([]float32, 20*chunkBytes)); err != nil {
			return err
		}
		time.Sleep(time.Duration(g.Rank()) * 600 * time.Millisecond)
		return g.Barrier()
	}))
}

func TestOutOfStep(t *testing.T) {
	for rank, err := range each(t, 2, quick, func(g *Group) error {
		if g.Leads() {
			return g.Barrier()
		}
		return g.Agree(nil)
	}) {
		if !strings.Contains(text(err), "out of step") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

func TestAloneAndClosed(t *testing.T) {
	var g *Group
	b, err := g.Broadcast([]byte("x"))
	if err := errors.Join(err, g.Sum32([]float32{1}), g.Sum64(nil), g.Barrier(), g.Agree(nil), g.Err(), g.Close()); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	if g.Rank() != 0 || g.Size() != 1 || !g.Leads() || g.World() != nil {
		t.Error("a process alone is not rank 0 of 1")
	}
	g.Abort(1, errors.New("nobody hears"))
	must(t, each(t, 2, Options{}, func(g *Group) error {
		if err := g.Barrier(); err != nil {
			return err
		}
		g.Close()
		if err := g.Barrier(); !errors.Is(err, ErrClosed) {
			return fmt.Errorf("after Close: %v", err)
		}
		return nil
	}))
}
