package split

import (
	"bytes"
	"encoding/binary"
	"sort"
)

// group is a set of records that stay together.
type group struct {
	key     key
	kind    int // of its first record
	records int
	eval    bool
}

// assign marks the groups to evaluate: for each kind, groups in the order of
// their hashes under the seed until about frac of the records are marked. A
// kind with a single group is trained on; its name is returned.
func assign(groups []*group, frac float64, seed uint64) (single []string) {
	byKind := map[int][]*group{}
	for _, g := range groups {
		byKind[g.kind] = append(byKind[g.kind], g)
	}
	for kind := range kinds {
		list := byKind[kind]
		if len(list) == 1 {
			single = append(single, kinds[kind].name)
		}
		if len(list) > 1 {
			assignKind(shuffle(list, seed), frac)
		}
	}
	return single
}

// assignKind takes a group when that brings the evaluated share nearer to
// frac. At least one group is evaluated and at least one is not.
func assignKind(list []*group, frac float64) {
	total := 0
	for _, g := range list {
		total += g.records
	}
	want, have, left := frac*float64(total), 0, len(list)
	for _, g := range list {
		if left > 1 && float64(have)+float64(g.records)/2 <= want {
			g.eval = true
			have += g.records
			left--
		}
	}
	if have > 0 {
		return
	}
	smallest := list[0]
	for _, g := range list {
		if g.records < smallest.records {
			smallest = g
		}
	}
	smallest.eval = true
}

// shuffle orders groups by a hash of seed and key, which is the same for the
// same groups however they were met.
func shuffle(list []*group, seed uint64) []*group {
	salt := binary.LittleEndian.AppendUint64(nil, seed)
	rank := make(map[*group]key, len(list))
	for _, g := range list {
		rank[g] = keyOf(salt, g.key[:])
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := rank[list[i]], rank[list[j]]
		return bytes.Compare(a[:], b[:]) < 0
	})
	return list
}
