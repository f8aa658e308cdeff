package extsort

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

func TestSorted(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 120_000} {
		dir := t.TempDir()
		s := New(dir, 0)
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		var want []string
		for range n {
			entry := fmt.Sprintf("%d/%0*d", rng.IntN(1000), 1+rng.IntN(40), rng.IntN(n))
			want = append(want, entry)
			if err := s.Add([]byte(entry)); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(want)
		for pass := range 2 { // Each may be called again
			var got []string
			if err := s.Each(func(e []byte) error { got = append(got, string(e)); return nil }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("pass %d of %d entries: not what was added, in order (seed %d)", pass, n, n)
			}
		}
		if spilled := s.Spilled() > 1; spilled != (n > 100_000) {
			t.Errorf("%d entries are in %d runs on disk", n, s.Spilled())
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("files with a name: %v", entries)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLongEntriesAndErrors(t *testing.T) {
	s := New(t.TempDir(), 0)
	defer s.Close()
	for i := range 5 {
		if err := s.Add(slices.Repeat([]byte{byte('e' - i)}, 3<<20)); err != nil {
			t.Fatal(err)
		}
	}
	var first []byte
	if err := s.Each(func(e []byte) error { first = append(first, e[0]); return nil }); err != nil || string(first) != "abcde" {
		t.Errorf("%q, %v", first, err)
	}
	stop := errors.New("stop")
	if err := s.Each(func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
	missing := New("/no/such/folder", 0)
	for range 2 {
		if err := missing.Add(make([]byte, 1<<20)); err != nil {
			return
		}
	}
	t.Error("spilling into a folder that is not there went unnoticed")
}
