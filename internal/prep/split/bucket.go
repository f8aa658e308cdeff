package split

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// banded is a record in one band.
type banded struct {
	hash uint64
	id   uint32
}

// buckets finds the records that agree in a band and gives every such set to a
// worker. Sets of one band are disjoint, so workers do not meet.
type buckets struct {
	x       *index
	lookups []*lookup
	admit   func(id uint32, m *meta) bool // which records take part
	visit   func(l *lookup, worker int, bucket []banded) error
}

func newBuckets(x *index) *buckets {
	b := &buckets{x: x}
	for range x.o.Workers {
		b.lookups = append(b.lookups, newLookup(x))
	}
	return b
}

// piecesPerWorker cuts a band finer than there are workers, to even them out.
const piecesPerWorker = 4

const (
	bandedBytes = 16  // of a banded in memory
	leastPass   = 256 // records of one pass, however small the budget
)

// run goes through one band. Where its hashes would exceed a quarter of the
// budget, it takes them in several passes, by ranges.
func (b *buckets) run(ctx context.Context, band int) error {
	room := max(b.x.o.SignatureRAM/4/bandedBytes, leastPass)
	passes := (uint64(len(b.x.metas)) + uint64(room) - 1) / uint64(room)
	for pass := range passes {
		pieces := make([][]banded, piecesPerWorker*len(b.lookups))
		err := b.x.store.band(band, func(id uint32, hash uint64) {
			m := &b.x.metas[id]
			if hash%passes == pass && m.is(flagSigned) && b.admit(id, m) {
				at := hash >> 32 % uint64(len(pieces))
				pieces[at] = append(pieces[at], banded{hash, id})
			}
		})
		if err != nil {
			return err
		}
		if err := b.spread(ctx, pieces); err != nil {
			return err
		}
	}
	return nil
}

// spread lets each worker take pieces until none is left.
func (b *buckets) spread(ctx context.Context, pieces [][]banded) error {
	work := make(chan []banded, len(pieces))
	for _, p := range pieces {
		work <- p
	}
	close(work)
	errs := make([]error, len(b.lookups))
	var all sync.WaitGroup
	for worker := range b.lookups {
		all.Go(func() {
			for p := range work {
				if errs[worker] == nil {
					errs[worker] = b.piece(ctx, worker, p)
				}
			}
		})
	}
	all.Wait()
	return cmp.Or(errs...)
}

// piece visits the buckets of a piece.
func (b *buckets) piece(ctx context.Context, worker int, p []banded) error {
	slices.SortFunc(p, func(u, v banded) int {
		if c := cmp.Compare(u.hash, v.hash); c != 0 {
			return c
		}
		return cmp.Compare(u.id, v.id)
	})
	for start := 0; start < len(p); {
		end := start + 1
		for end < len(p) && p[end].hash == p[start].hash {
			end++
		}
		if end-start > 1 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := b.visit(b.lookups[worker], worker, p[start:end]); err != nil {
				return err
			}
			b.lookups[worker].forget()
		}
		start = end
	}
	return nil
}
