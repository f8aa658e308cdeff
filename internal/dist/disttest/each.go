// Package disttest runs code on several ranks within one test.
package disttest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/dist"
)

// patience is how long a test waits for its ranks.
const patience = time.Minute

// Each brings size ranks together, runs f on every one in a goroutine of its
// own, and returns what f did, by rank. An error of f ends the group with exit
// code 7. With size 1 the group is nil.
func Each(t *testing.T, size int, f func(g *dist.Group) error) []error {
	t.Helper()
	if size == 1 {
		return []error{f(nil)}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, size)
	var wg sync.WaitGroup
	for rank := range size {
		wg.Go(func() { errs[rank] = one(rank, size, ln, f) })
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("%d ranks did not end within %s", size, patience)
	}
	return errs
}

func one(rank, size int, ln net.Listener, f func(g *dist.Group) error) error {
	w := dist.World{Rank: rank, Size: size, LocalRank: rank, LocalSize: size, Addr: ln.Addr().String()}
	o := dist.Options{Join: patience}
	if rank == 0 {
		o.Listener = ln
	}
	g, err := dist.Join(context.Background(), w, o)
	if err != nil {
		return err
	}
	defer g.Close()
	err = f(g)
	g.Abort(7, err)
	return err
}
