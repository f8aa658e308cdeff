package chatlog

import "slices"

// segment is a run of records that the model saw as one context.
type segment struct {
	records   []*record
	sidechain bool
}

// segments returns the parts of the active branch, oldest first, and with
// sidechains also each sidechain.
func (s *session) segments(sidechains bool) []segment {
	used := map[*record]bool{} // roots of trees that are spoken for
	var parts [][]*record
	for leaf := s.activeLeaf(); leaf != nil; {
		path := s.path(leaf)
		used[path[0]] = true
		parts = append(parts, path)
		leaf = s.before(path[0], used)
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
func (s *session) before(root *record, used map[*record]bool) *record {
	if !root.startsContext() && !s.dangling(root) {
		return nil
	}
	if to := s.byUUID[root.LogicalParent]; to != nil && !used[s.roots[to]] {
		return to
	}
	var best *record
	for _, r := range s.records {
		if r.order < root.order && r.isTalk() && !r.Sidechain && !used[s.roots[r]] {
			best = latest(best, r)
		}
	}
	return best
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
