package scrub

// automaton finds every occurrence of many literals in one pass, without
// regard to ASCII case. It is the Aho-Corasick machine with its failure links
// folded into the transition table, so that one byte costs one table look-up.
//
// States are numbered so that those which end a literal come last: a single
// comparison tells whether there is anything to report.
type automaton struct {
	class    [256]uint8 // byte -> column of next
	columns  int
	next     []uint32  // row offset of the state * columns + column -> row offset
	firstHit uint32    // row offsets from here on end at least one literal
	hits     [][]int32 // literals that end in a state, longest first, by (row - firstHit) / columns
}

// newAutomaton builds the machine for literals, which must not be empty.
// Equal literals are reported once each.
func newAutomaton(literals []string) *automaton {
	a := &automaton{}
	a.assignColumns(literals)
	t := newTrie(a, literals)
	a.flatten(t)
	return a
}

// assignColumns gives each byte that occurs in a literal a column, in both
// cases, and all other bytes column 0.
func (a *automaton) assignColumns(literals []string) {
	a.columns = 1
	for _, lit := range literals {
		for i := range len(lit) {
			c := lower(lit[i])
			if a.class[c] == 0 {
				a.class[c] = uint8(a.columns)
				a.class[upper(c)] = uint8(a.columns)
				a.columns++
			}
		}
	}
}

// trie is the machine under construction, one row of children a state.
type trie struct {
	next [][]int32 // -1 is no child
	out  [][]int32
}

func newTrie(a *automaton, literals []string) *trie {
	t := &trie{}
	t.grow(a.columns)
	for id, lit := range literals {
		state := int32(0)
		for i := range len(lit) {
			column := a.class[lit[i]]
			if t.next[state][column] < 0 {
				t.next[state][column] = t.grow(a.columns)
			}
			state = t.next[state][column]
		}
		t.out[state] = append(t.out[state], int32(id))
	}
	t.link()
	return t
}

func (t *trie) grow(columns int) int32 {
	row := make([]int32, columns)
	for i := range row {
		row[i] = -1
	}
	t.next = append(t.next, row)
	t.out = append(t.out, nil)
	return int32(len(t.next) - 1)
}

// link replaces missing children by those of the longest proper suffix that
// is a state, breadth first, and adds that suffix's literals.
func (t *trie) link() {
	fail := make([]int32, len(t.next))
	queue := []int32{0}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		for column, child := range t.next[state] {
			suffix := int32(0)
			if state != 0 {
				suffix = t.next[fail[state]][column]
			}
			switch {
			case child >= 0:
				fail[child] = suffix
				t.out[child] = append(t.out[child], t.out[suffix]...)
				queue = append(queue, child)
			case state == 0:
				t.next[state][column] = 0
			default:
				t.next[state][column] = suffix
			}
		}
	}
}

// flatten numbers the states, silent ones first, and lays out one table.
func (a *automaton) flatten(t *trie) {
	row := make([]uint32, len(t.next))
	n := uint32(0)
	for _, loud := range []bool{false, true} {
		if loud {
			a.firstHit = n * uint32(a.columns)
		}
		for state := range t.next {
			if len(t.out[state]) > 0 == loud {
				row[state] = n * uint32(a.columns)
				n++
			}
		}
	}
	a.next = make([]uint32, len(t.next)*a.columns)
	a.hits = make([][]int32, (uint32(len(t.next)*a.columns)-a.firstHit)/uint32(a.columns))
	for state, children := range t.next {
		for column, child := range children {
			a.next[row[state]+uint32(column)] = row[child]
		}
		if len(t.out[state]) > 0 {
			a.hits[(row[state]-a.firstHit)/uint32(a.columns)] = t.out[state]
		}
	}
}

// contains tells whether any literal occurs in text.
func (a *automaton) contains(text string) bool {
	state := uint32(0)
	for i := range len(text) {
		state = a.next[state+uint32(a.class[text[i]])]
		if state >= a.firstHit {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
