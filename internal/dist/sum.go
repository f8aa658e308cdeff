package dist

import (
	"encoding/binary"
	"fmt"
)

// chunkBytes is how much of a vector travels at a time: rank 0 adds and
// returns one part while the next is under way.
const chunkBytes = 256 << 10

type number interface{ float32 | float64 }

// Sum32 replaces v on every rank by the sum of all ranks' v, added in F32 in the
// order of the ranks: the bytes are the same everywhere and every time. All v
// have one length.
func (g *Group) Sum32(v []float32) error { return sum(g, opSum32, v, chunkBytes/4) }

// Sum64 is Sum32 for F64.
func (g *Group) Sum64(v []float64) error { return sum(g, opSum64, v, chunkBytes/8) }

func sum[T number](g *Group, op byte, v []T, chunk int) error {
	if g == nil {
		return nil
	}
	if err := g.next(); err != nil {
		return err
	}
	if g.Leads() {
		return addUp(g, op, v, chunk)
	}
	sent := make(chan error, 1)
	go func() { sent <- sendAll(g, op, v, chunk) }()
	for part := range parts(v, chunk) {
		b, err := g.receive(g.links[0], op)
		if err != nil {
			return err
		}
		if err := decode(g, 0, b, part); err != nil {
			return err
		}
	}
	return <-sent
}

// parts are the pieces of v in which it travels.
func parts[T number](v []T, chunk int) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for at := 0; at < len(v); at += chunk {
			if !yield(v[at:min(at+chunk, len(v))]) {
				return
			}
		}
	}
}

// sendAll is the sending half of a rank other than 0. A part is overwritten
// with the result only after it was sent, for the result depends on it.
func sendAll[T number](g *Group, op byte, v []T, chunk int) error {
	for part := range parts(v, chunk) {
		if err := g.send(g.links[0], op, encode(part)); err != nil {
			return err
		}
	}
	return nil
}

// addUp is rank 0's half.
func addUp[T number](g *Group, op byte, v []T, chunk int) error {
	theirs := make([]T, min(chunk, len(v)))
	for part := range parts(v, chunk) {
		for _, l := range g.links {
			b, err := g.receive(l, op)
			if err != nil {
				return err
			}
			if err := decode(g, l.rank, b, theirs[:len(part)]); err != nil {
				return err
			}
			for i, x := range theirs[:len(part)] {
				part[i] += x
			}
		}
		if _, err := g.spread(op, encode(part)); err != nil {
			return err
		}
	}
	return nil
}

func encode[T number](v []T) []byte {
	b, _ := binary.Append(nil, binary.LittleEndian, v) // fails for what has no fixed size alone
	return b
}

// decode fails the group when a rank's vector has another length.
func decode[T number](g *Group, rank int, b []byte, v []T) error {
	if n, err := binary.Decode(b, binary.LittleEndian, v); err != nil || n != len(b) {
		return g.fail(&PeerError{Rank: rank, Code: 1, Text: fmt.Sprintf("sent %d bytes of a vector, %d values are added up", len(b), len(v))})
	}
	return nil
}
