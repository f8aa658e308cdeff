package shard

import (
	"github.com/qlora/qlora/internal/prep/extsort"
)

// keyBudget is what a sorter of keys holds in memory, bytes.
const keyBudget = 64 << 20

// bits is a set of record numbers.
type bits []uint64

func (b *bits) set(i int64) {
	for int64(len(*b)) <= i/64 {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bits) has(i int64) bool { return i/64 < int64(len(b)) && b[i/64]&(1<<(i%64)) != 0 }

// claims finds the records that give way to another of their ID.
type claims struct {
	sorter *extsort.Sorter
	buf    []byte
}

func newClaims(dir string) *claims { return &claims{sorter: extsort.New(dir, keyBudget)} }

func (c *claims) add(k Key, p place) error {
	if k.ID == "" {
		return nil
	}
	c.buf = appendClaim(c.buf[:0], k, p)
	return c.sorter.Add(c.buf)
}

// losers returns, for each part, the numbers of the records that give way.
func (c *claims) losers(parts int) (dropped []bits, count int64, err error) {
	dropped = make([]bits, parts)
	var winner []byte
	err = c.sorter.Each(func(entry []byte) error {
		if sameID(winner, entry) {
			part, number := placeOf(entry)
			dropped[part].set(number)
			count++
			return nil
		}
		winner = append(winner[:0], entry...)
		return nil
	})
	return dropped, count, err
}

func (c *claims) close() error { return c.sorter.Close() }
