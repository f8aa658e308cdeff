package split

import "fmt"

// lookup reads records again to compare them exactly. It is for one goroutine.
type lookup struct {
	x     *index
	a     *analyst
	line  []byte
	slots [2][slotBytes]byte
	sets  map[uint32][]uint64 // shingles of the records of one bucket
}

// maxSets bounds the shingle sets that are held at a time.
const maxSets = 256

func newLookup(x *index) *lookup {
	return &lookup{x: x, a: newAnalyst(Options{}, nil), sets: map[uint32][]uint64{}}
}

// set is the set of shingles of a record.
func (l *lookup) set(id uint32) ([]uint64, error) {
	if set, ok := l.sets[id]; ok {
		return set, nil
	}
	m := &l.x.metas[id]
	in := l.x.m.Inputs[m.input()]
	if cap(l.line) < int(m.size) {
		l.line = make([]byte, m.size)
	}
	l.line = l.line[:m.size]
	if _, err := in.file.ReadAt(l.line, m.offset()); err != nil {
		return nil, fmt.Errorf("data file %s %w: %w", in.Path, ErrChanged, err)
	}
	set, err := l.a.setOf(string(l.line))
	if err != nil {
		return nil, fmt.Errorf("data file %s %w: %w", in.Path, ErrChanged, err)
	}
	if len(l.sets) >= maxSets {
		clear(l.sets)
	}
	l.sets[id] = set
	return set, nil
}

// forget frees the sets of the last bucket.
func (l *lookup) forget() { clear(l.sets) }

// similarity is the exact Jaccard similarity of two records.
func (l *lookup) similarity(a, b uint32) (float64, error) {
	p, err := l.set(a)
	if err != nil {
		return 0, err
	}
	q, err := l.set(b)
	if err != nil {
		return 0, err
	}
	return jaccard(p, q), nil
}

// guess estimates the similarity of two records from their signatures.
func (l *lookup) guess(a, b uint32) (float64, error) {
	p, err := l.x.store.slots(a, l.slots[0][:])
	if err != nil {
		return 0, err
	}
	q, err := l.x.store.slots(b, l.slots[1][:])
	if err != nil {
		return 0, err
	}
	return estimate(p, q), nil
}
