package split

import (
	"cmp"
	"fmt"

	"github.com/qlora/qlora/internal/prep"
)

// Limits of what an index can name.
const (
	maxInputs = 1 << 20
	maxOffset = 1 << 43 // 8 TiB
	offsets   = 44      // bits of an offset in meta.pos
)

// states of a record.
const (
	stateKept    uint8 = iota
	stateFresh         // kept again after the copy it gave way to was itself left out
	stateCopy          // an exact duplicate
	stateNear          // a near duplicate
	stateChained       // a near duplicate of one that is left out
	stateSurplus
	stateShown // trained, and shows a file that is evaluated
)

// meta is what is kept in memory of a record that can be used: 48 bytes.
type meta struct {
	content key
	pos     uint64 // input and offset
	size    uint32 // bytes
	chars   uint32
	node    uint32 // of its unit in the forests
	by      uint32 // the record that it gave way to, once dropped
	stratum uint32
	state   uint8
	flags   uint8
}

const (
	flagRelated = 1 << iota
	flagSigned
	flagEval
)

func (m *meta) input() int         { return int(m.pos >> offsets) }
func (m *meta) offset() int64      { return int64(m.pos & (1<<offsets - 1)) }
func (m *meta) kept() bool         { return m.state <= stateFresh }
func (m *meta) is(flag uint8) bool { return m.flags&flag != 0 }

// index is what is known of all records, in the order of the inputs.
type index struct {
	o      Options
	m      *Manifest
	metas  []meta
	nodes  map[uint64]uint32   // by key of a unit or a link
	keys   []uint64            // of each node; of a record without a unit, its content
	units  forest              // one conversation or file
	groups forest              // what must be on one side
	repos  map[uint32]uint64   // of units
	shown  map[uint32][]uint32 // of records: the nodes of the files they show
	strata []stratum
	byKind map[stratum]uint32
	store  *store     // nil when near duplicates are not looked for
	hashes [][]uint64 // of the blocks of each input
	next   cursor
}

// stratum is a kind of record of one input: both outputs hold some of each.
type stratum struct{ input, kind int }

// cursor is where the next block must begin.
type cursor struct {
	input int
	start int64
	lines int // of the input before start
}

func newIndex(o Options, m *Manifest) *index {
	x := &index{
		o: o, m: m, nodes: map[uint64]uint32{}, repos: map[uint32]uint64{}, shown: map[uint32][]uint32{}, byKind: map[stratum]uint32{},
		hashes: make([][]uint64, len(m.Inputs)),
	}
	if o.Near > 0 {
		x.store = newStore(o.OutDir, o.SignatureRAM/2)
	}
	return x
}

// take adds the records of the next block.
func (x *index) take(b *block) error {
	if b.start == 0 && b.input > x.next.input {
		x.next = cursor{input: b.input}
	}
	if b.input != x.next.input || b.start != x.next.start {
		return fmt.Errorf("%w: a block is missing at byte %d of %s", ErrParts, x.next.start, x.m.Inputs[x.next.input].Path)
	}
	in := x.m.Inputs[b.input]
	for _, p := range b.problems {
		x.m.problem(in.Path, x.next.lines+p.line, p.reason, p.text)
		if x.o.Strict {
			return fmt.Errorf("%w: %s", ErrStrict, x.m.Problems[len(x.m.Problems)-1])
		}
	}
	for i := range b.features {
		if err := x.add(b.input, &b.features[i]); err != nil {
			return err
		}
	}
	x.hashes[b.input] = append(x.hashes[b.input], b.hash)
	x.next.start, x.next.lines = b.end, x.next.lines+b.lines
	return nil
}

func (x *index) add(input int, f *feature) error {
	in := x.m.Inputs[input]
	in.Records++
	in.Kinds[kinds[f.kind].name]++
	if f.reason != "" {
		x.m.Dropped.Add(f.reason, 1)
		return nil
	}
	m := meta{
		content: f.content, pos: uint64(input)<<offsets | uint64(f.offset), size: uint32(f.size), chars: uint32(f.chars),
		node: x.place(f), stratum: x.stratum(stratum{input, f.kind}),
	}
	if f.related {
		m.flags |= flagRelated
	}
	if f.signed {
		m.flags |= flagSigned
	}
	for _, k := range f.shown {
		id := uint32(len(x.metas))
		x.shown[id] = append(x.shown[id], x.node(k))
	}
	x.metas = append(x.metas, m)
	if x.store == nil {
		return nil
	}
	return x.store.add(&f.sig)
}

func (x *index) stratum(s stratum) uint32 {
	n, ok := x.byKind[s]
	if !ok {
		n = uint32(len(x.strata))
		x.byKind[s] = n
		x.strata = append(x.strata, s)
	}
	return n
}

// place returns the node of a record's unit and notes what belongs together.
func (x *index) place(f *feature) uint32 {
	if len(f.units) == 0 {
		if f.repo == 0 {
			return x.newNode(f.content.lo)
		}
		f.units = []uint64{nameKey("alone", string(encodeKey(f.content)))}
	}
	node := x.node(f.units[0])
	for _, k := range f.units[1:] {
		other := x.node(k)
		x.units.union(node, other)
		x.groups.union(node, other)
	}
	for _, k := range f.links {
		x.groups.union(node, x.node(k))
	}
	if f.repo != 0 {
		x.repos[node] = f.repo
	}
	return node
}

func encodeKey(k key) []byte {
	var e encoder
	e.fixed(k.hi)
	e.fixed(k.lo)
	return e.buf
}

// node is the node of a name.
func (x *index) node(k uint64) uint32 {
	n, ok := x.nodes[k]
	if !ok {
		n = x.newNode(k)
		x.nodes[k] = n
	}
	return n
}

func (x *index) newNode(k uint64) uint32 {
	x.keys = append(x.keys, k)
	x.units.add()
	return x.groups.add()
}

// joinRepos keeps the units of one repository together, when that is asked for
// or when there are several repositories. It returns what was decided.
func (x *index) joinRepos() string {
	by := x.o.GroupBy
	if by == GroupAuto {
		by = GroupFile
		first := uint64(0)
		for _, repo := range x.repos {
			if first == 0 {
				first = repo
			}
			if repo != first {
				by = GroupRepo
			}
		}
	}
	if by == GroupRepo {
		for node, repo := range x.repos {
			x.groups.union(node, x.node(repo))
		}
	}
	return by
}

// prefer orders a record and its copy, the one to keep first: the longer, then
// by content and origin, so that the order of the inputs plays no part.
func (x *index) prefer(a, b uint32) int {
	p, q := &x.metas[a], &x.metas[b]
	c := cmp.Or(
		cmp.Compare(q.chars, p.chars),
		p.content.compare(q.content),
		cmp.Compare(x.keys[p.node], x.keys[q.node]))
	if c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(x.m.Inputs[p.input()].Path, x.m.Inputs[q.input()].Path),
		cmp.Compare(a, b))
}

// relate keeps the groups of a record and its copy on one side, when the text
// is long enough for that to mean something.
func (x *index) relate(a, b uint32) {
	p, q := &x.metas[a], &x.metas[b]
	if p.is(flagRelated) && q.is(flagRelated) {
		x.groups.union(p.node, q.node)
	}
}

func (m *Manifest) problem(file string, line int, reason, text string) {
	m.Skipped++
	m.Dropped.Add(reason, 1)
	if len(m.Problems) < maxProblems {
		m.Problems = append(m.Problems, prep.Problem{File: file, Line: line, Reason: text})
	}
}

const maxProblems = 100
