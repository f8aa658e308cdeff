package dist

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// Ranks come in any order, and who is no rank of ours is sent away.
func TestJoinAmongStrangers(t *testing.T) {
	all, ln := worlds(t, 3)
	stranger, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	other := all[1]
	other.Token = "another"
	results := make(chan error, 4)
	join := func(w World, o Options) {
		g, err := Join(context.Background(), w, o)
		if err == nil {
			err = g.Barrier()
			g.Close()
		}
		results <- err
	}
	go join(other, quick)
	go join(all[2], quick)
	lead := quick
	lead.Listener = ln
	go join(all[0], lead)
	if err := <-results; err == nil || !strings.Contains(err.Error(), `another run waits at this port (run token "t", not "another")`) {
		t.Errorf("a rank of another run: %v", err)
	}
	go join(all[1], quick)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestJoinRefuses(t *testing.T) {
	for want, change := range map[string]func(*World){
		"one came as rank 1 of 3, where rank 0 has 2 ranks (WORLD_SIZE)": func(w *World) { w.Size = 3 },
		"one came as rank 2 of 2": func(w *World) { w.Rank = 2 },
	} {
		all, ln := worlds(t, 2)
		change(&all[1])
		o := quick
		o.Listener = ln
		followed := make(chan error, 1)
		go func() {
			_, err := Join(context.Background(), all[1], quick)
			followed <- err
		}()
		_, err := Join(context.Background(), all[0], o)
		for _, err := range []error{err, <-followed} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
}

func TestJoinGivesUp(t *testing.T) {
	all, ln := worlds(t, 3)
	o := Options{Join: 200 * time.Millisecond, Listener: ln}
	came := make(chan error, 1)
	go func() {
		_, err := Join(context.Background(), all[2], quick)
		came <- err
	}()
	if _, err := Join(context.Background(), all[0], o); err == nil || !strings.Contains(err.Error(), "rank 1 did not come within 200ms") {
		t.Errorf("rank 0 alone: %v", err)
	}
	if err := <-came; err == nil || !strings.Contains(err.Error(), "rank 0 gave up") {
		t.Errorf("the rank that came: %v", err)
	}
	_, err := Join(context.Background(), all[1], Options{Join: 200 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), all[1].Addr) || !strings.Contains(err.Error(), "MASTER_ADDR") || !strings.Contains(err.Error(), "no answer within 200ms") {
		t.Errorf("without rank 0: %v", err)
	}
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	all[0].Addr = held.Addr().String()
	if _, err := Join(context.Background(), all[0], quick); err == nil || !strings.Contains(err.Error(), "MASTER_PORT") {
		t.Errorf("a port in use: %v", err)
	}
}

func TestJoinIsInterrupted(t *testing.T) {
	for rank := range 2 {
		all, ln := worlds(t, 2)
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(50*time.Millisecond, cancel)
		o := quick
		if rank == 0 {
			o.Listener = ln
		}
		_, err := Join(ctx, all[rank], o)
		if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}
