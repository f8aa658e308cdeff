package scrub

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

// What is found and written changes only together with rulesVersion, so that
// texts which two builds cleaned are not taken for alike.
func TestRulesVersion(t *testing.T) {
	const seed, want = 8, "1 a8375cb8fce6dc74"
	s := mustNew(t, Options{Seed: 3, IPs: true, Extra: []string{"falcon", "/ticket-[0-9]+/"}})
	sum := sha256.New()
	for _, r := range s.rules {
		fmt.Fprintln(sum, r.id, r.source, r.keywords, r.group, r.entropy)
	}
	p := planter{rand.New(rand.NewPCG(seed, 0))}
	for _, plant := range plants {
		for _, around := range surroundings {
			_, written := plant.make(p)
			fmt.Fprintln(sum, s.Clean(fmt.Sprintf(around, written), nil))
		}
	}
	fmt.Fprintln(sum, s.Clean("Falcon asked 8.8.8.8 and 10.0.0.1 about ticket-12", nil))
	if got := fmt.Sprintf("%d %x", rulesVersion, sum.Sum(nil)[:8]); got != want {
		t.Errorf("got %q, want %q: if other things are found or written, raise rulesVersion; then write the new text here", got, want)
	}
}
