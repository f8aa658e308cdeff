package chatlog

import "slices"

// session is one file as a graph.
type session struct {
	file     string
	id       string    // sessionId of its last record
	origins  []string  // sessions that it was forked from
	records  []*record // file order
	byUUID   map[string]*record
	children map[string][]*record
	roots    map[*record]*record // start of the tree that a record is in
	inner    map[*record]bool    // records that have talk below them
	leaf     string              // the last prompt's leaf, when recorded
	cycles   int                 // links that were cut because they closed a circle
	copies   int                 // records whose uuid came before in the same file
	results  string              // folder of stored tool results; "" when there is none
	folder   string              // that the session began in; "" where the input does not say
	system   string              // system prompt, where the input has it
	tools    []tool              // declared tools, where the input has them
	servers  int                 // tools that the server runs, which are left out
}

// newSession links the records of one file. Metadata records (no uuid) take no
// part in the graph, except that conversation records without uuid are chained
// in file order.
func newSession(file string, records []*record) *session {
	s := &session{file: file, byUUID: map[string]*record{}, children: map[string][]*record{}}
	var last *record
	for i, r := range records {
		r.order = i
		s.note(r)
		if r.UUID == "" {
			if !r.isTalk() {
				continue
			}
			r.UUID = "record " + itoa(i) + " of " + file
			if last != nil {
				r.Parent = last.UUID
			}
		}
		if have := s.byUUID[r.UUID]; have != nil {
			if have.Parent == "" { // copies inside a file may have lost their place
				have.Parent = r.Parent
			}
			s.copies++
			continue
		}
		s.byUUID[r.UUID] = r
		s.records = append(s.records, r)
		last = r
	}
	s.breakCycles()
	for _, r := range s.records {
		if s.parent(r) != nil {
			s.children[r.Parent] = append(s.children[r.Parent], r)
		}
	}
	s.layout()
	return s
}

// layout fills roots and inner.
func (s *session) layout() {
	s.roots, s.inner = map[*record]*record{}, map[*record]bool{}
	for _, r := range s.records {
		s.findRoot(r)
		if !r.isTalk() {
			continue
		}
		for p := s.parent(r); p != nil && !s.inner[p] && p.Sidechain == r.Sidechain; p = s.parent(p) {
			s.inner[p] = true
		}
	}
}

func (s *session) findRoot(r *record) {
	var walk []*record
	top := r
	for s.roots[top] == nil && s.parent(top) != nil {
		walk = append(walk, top)
		top = s.parent(top)
	}
	if s.roots[top] == nil {
		s.roots[top] = top
	}
	for _, w := range walk {
		s.roots[w] = s.roots[top]
	}
}

// note takes what a record says about the session as a whole.
func (s *session) note(r *record) {
	if r.Session != "" {
		s.id = r.Session
	}
	if r.ForkedFrom != "" && !slices.Contains(s.origins, r.ForkedFrom) {
		s.origins = append(s.origins, r.ForkedFrom)
	}
	if s.folder == "" {
		s.folder = r.Folder
	}
	if r.Type == typeLastPrompt && r.LeafUUID != "" {
		s.leaf = r.LeafUUID
	}
}

// parent returns the record that r follows, or nil at a root.
func (s *session) parent(r *record) *record {
	if r.Parent == "" {
		return nil
	}
	return s.byUUID[r.Parent]
}

// dangling tells whether r follows a record that the file does not hold.
func (s *session) dangling(r *record) bool {
	return r.Parent != "" && s.byUUID[r.Parent] == nil
}

// breakCycles makes the earliest record of each circle a root.
func (s *session) breakCycles() {
	const unseen, open, closed = 0, 1, 2
	state := make(map[*record]int, len(s.records))
	for _, start := range s.records {
		var walk []*record
		r := start
		for r != nil && state[r] == unseen {
			state[r] = open
			walk = append(walk, r)
			r = s.parent(r)
		}
		if r != nil && state[r] == open {
			s.cutCycle(r)
		}
		for _, w := range walk {
			state[w] = closed
		}
	}
}

func (s *session) cutCycle(r *record) {
	first := r
	for at := s.parent(r); at != r; at = s.parent(at) {
		if at.order < first.order {
			first = at
		}
	}
	first.Parent = ""
	s.cycles++
}

// path lists the records from the root to leaf.
func (s *session) path(leaf *record) []*record {
	var path []*record
	for r := leaf; r != nil; r = s.parent(r) {
		path = append(path, r)
	}
	slices.Reverse(path)
	return path
}

// latest returns the later of two records: by time, then by place in the file.
// Either may be nil.
func latest(a, b *record) *record {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case !a.time.IsZero() && !b.time.IsZero() && !a.time.Equal(b.time):
		if a.time.After(b.time) {
			return a
		}
		return b
	case a.order > b.order:
		return a
	default:
		return b
	}
}

// lastTalk returns the latest talk record below from (itself included) that
// has no talk below it. It returns from when nothing there talks.
func (s *session) lastTalk(from *record) *record {
	var best *record
	stack := []*record{from}
	for len(stack) > 0 {
		r := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, child := range s.children[r.UUID] {
			if child.Sidechain == from.Sidechain {
				stack = append(stack, child)
			}
		}
		if r.isTalk() && !s.inner[r] {
			best = latest(best, r)
		}
	}
	if best == nil {
		return from
	}
	return best
}
