package shard

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Spec is part Index of Count, from 1. The zero Spec is the whole work, and 1 of
// 1 a part that holds all of it.
type Spec struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// ErrSpec is wrapped by the errors of Parse.
var ErrSpec = errors.New("want i/n with 1 <= i <= n, such as 2/7")

// Parse reads "i/n". The empty text is the whole work.
func Parse(text string) (Spec, error) {
	if text == "" {
		return Spec{}, nil
	}
	first, second, _ := strings.Cut(text, "/")
	i, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil || i < 1 || i > n {
		return Spec{}, fmt.Errorf("shard %q: %w", text, ErrSpec)
	}
	return Spec{Index: i, Count: n}, nil
}

// String is "i/n".
func (s Spec) String() string {
	if s.Whole() {
		return "1/1"
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Whole tells that there are no other parts.
func (s Spec) Whole() bool { return s.Count <= 1 }

// Part tells that the work is to be put together with other parts, of which
// there may be none.
func (s Spec) Part() bool { return s.Count > 0 }

// Owns tells whether the unit of work named key belongs to this part. Of the
// parts of one count exactly one owns a key, on every machine.
func (s Spec) Owns(key string) bool {
	if s.Whole() {
		return true
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	return mix(h.Sum64())%uint64(s.Count) == uint64(s.Index-1)
}

// mix spreads a hash over all bits: FNV alone leaves the low bits of similar
// names alike.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
