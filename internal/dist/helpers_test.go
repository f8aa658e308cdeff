package dist

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// quick is short of patience, for tests in which a rank falls silent.
var quick = Options{Join: 5 * time.Second, Beat: 50 * time.Millisecond, Silence: time.Second}

// worlds is size ranks of one launch, and where rank 0 listens.
func worlds(t *testing.T, size int) ([]World, net.Listener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	all := make([]World, size)
	for rank := range all {
		all[rank] = World{Rank: rank, Size: size, LocalRank: rank, LocalSize: size, Addr: ln.Addr().String(), Token: "t", Source: "RANK"}
	}
	return all, ln
}

// each joins size ranks and runs f on every one; it returns what f did.
func each(t *testing.T, size int, o Options, f func(g *Group) error) []error {
	t.Helper()
	all, ln := worlds(t, size)
	errs := make([]error, size)
	var wg sync.WaitGroup
	for rank, w := range all {
		wg.Go(func() {
			o := o
			if rank == 0 {
				o.Listener = ln
			}
			g, err := Join(context.Background(), w, o)
			if err != nil {
				errs[rank] = err
				return
			}
			errs[rank] = f(g)
			g.Abort(7, errs[rank])
			errs[rank] = errors.Join(errs[rank], g.Close())
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the ranks hang")
	}
	return errs
}

func must(t *testing.T, errs []error) {
	t.Helper()
	for rank, err := range errs {
		if err != nil {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// environment is a getenv over pairs of key and value.
func environment(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(key string) (string, bool) {
		v, ok := m[key]
		return v, ok
	}
}

func text(err error) string { return fmt.Sprint(err) }
