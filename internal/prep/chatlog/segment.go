package chatlog

import (
	"cmp"
	"slices"
	"time"
)

// segment is a run of records that the model saw as one context.
type segment struct {
	records   []*record
	sidechain bool
}

// segments returns the parts of the active branch, oldest first, and with
// sidechains also each sidechain.
func (s *session) segments(sidechains bool) []segment {
	used := map[*record]bool{} // roots of trees that are spoken for
	var past history
	var parts [][]*record
	for leaf := s.activeLeaf(); leaf != nil; {
		path := s.path(leaf)
		used[path[0]] = true
		parts = append(parts, path)
		leaf = s.before(path[0], used, &past)
	}
	slices.Reverse(parts)
	var out []segment
	for _, path := range parts {
		for _, run := range cutAtContexts(path) {
			out = append(out, segment{records: run})
		}
	}
	if sidechains {
		out = append(out, s.sidechains()...)
	}
	return out
}

// activeLeaf is the end of the branch that the session is on: below the leaf
// that the last prompt names, or else the latest thing said. Of several trees
// those in which the model said something come first.
func (s *session) activeLeaf() *record {
	if leaf := s.byUUID[s.leaf]; leaf != nil && !leaf.Sidechain {
		return s.lastTalk(leaf)
	}
	answered := map[*record]bool{}
	for _, r := range s.records {
		if r.Type == typeAssistant && !r.Sidechain {
			answered[s.roots[r]] = true
		}
	}
	var best *record
	for _, r := range s.records {
		if r.isTalk() && !r.Sidechain && !s.inner[r] && (len(answered) == 0 || answered[s.roots[r]]) {
			best = latest(best, r)
		}
	}
	return best
}

// before returns the end of the history that a root continues, or nil. Only a
// compaction, or a parent that the file lacks, continues something; a plain
// root is a first prompt, and what lies before it was abandoned.
func (s *session) before(root *record, used map[*record]bool, past *history) *record {
	if !root.startsContext() && !s.dangling(root) {
		return nil
	}
	if to := s.byUUID[root.LogicalParent]; to != nil && !used[s.roots[to]] {
		return to
	}
	return past.before(s, root, used)
}

// history is what was said in a session, the latest first. It is built when it
// is first needed, and loses from its front what is spoken for: a session may
// have lost so many records that it is thousands of trees.
type history struct {
	records []*record
	built   bool
}

func (h *history) before(s *session, root *record, used map[*record]bool) *record {
	if !h.built {
		h.build(s)
	}
	for len(h.records) > 0 && used[s.roots[h.records[0]]] {
		h.records = h.records[1:]
	}
	for _, r := range h.records {
		if r.order < root.order && !used[s.roots[r]] {
			return r
		}
	}
	return nil
}

func (h *history) build(s *session) {
	h.built = true
	var now time.Time
	at := map[*record]time.Time{} // of records without a time, that of the one before
	for _, r := range s.records {
		if !r.time.IsZero() {
			now = r.time
		}
		if r.isTalk() && !r.Sidechain {
			at[r] = now
			h.records = append(h.records, r)
		}
	}
	slices.SortFunc(h.records, func(a, b *record) int {
		return cmp.Or(at[b].Compare(at[a]), cmp.Compare(b.order, a.order))
	})
}

// cutAtContexts divides a path where the context began anew.
func cutAtContexts(path []*record) [][]*record {
	var runs [][]*record
	start := 0
	for i, r := range path {
		if i > start && r.startsContext() && !path[i-1].startsContext() {
			runs = append(runs, path[start:i])
			start = i
		}
	}
	return append(runs, path[start:])
}

// sidechains returns the latest branch of every tree of sidechain records.
func (s *session) sidechains() []segment {
	var out []segment
	for _, r := range s.records {
		if r.Sidechain && (s.parent(r) == nil || !s.parent(r).Sidechain) {
			path := s.path(s.lastTalk(r))
			path = path[slices.Index(path, r):]
			out = append(out, segment{records: path, sidechain: true})
		}
	}
	return out
}
