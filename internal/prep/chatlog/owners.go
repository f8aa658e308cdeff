package chatlog

import "sort"

// owners decides, over all files, which segment trains on a response that
// several hold, because resuming or forking a session copies its history, and
// which sessions belong together.
type owners struct {
	best   map[string]claim  // by response
	parent map[string]string // union-find over sessions
	first  map[string]string // a session that holds the response
}

// claim is a segment that holds a response.
type claim struct {
	file, segment, length int
}

func newOwners() *owners {
	return &owners{best: map[string]claim{}, parent: map[string]string{}, first: map[string]string{}}
}

// add notes what file number file holds. The longest segment gets a response,
// since a copy that was continued contains the original; the first file wins a
// tie.
func (o *owners) add(file int, s *session, segments []segment) {
	for _, origin := range s.origins {
		o.union(s.id, origin)
	}
	for i, seg := range segments {
		length := 0
		for _, r := range seg.records {
			if r.isTalk() {
				length++
			}
		}
		for _, r := range seg.records {
			if r.Type == typeAssistant {
				o.claim(r.responseKey(), s.id, claim{file: file, segment: i, length: length})
			}
		}
	}
}

func (o *owners) claim(key, session string, c claim) {
	if have, ok := o.best[key]; !ok || c.length > have.length {
		o.best[key] = c
	}
	if other, ok := o.first[key]; ok {
		o.union(session, other)
	} else {
		o.first[key] = session
	}
}

// owns tells whether a segment is the one to train on a response.
func (o *owners) owns(key string, file, segment int) bool {
	c, ok := o.best[key]
	return !ok || c.file == file && c.segment == segment
}

func (o *owners) find(id string) string {
	for {
		p, ok := o.parent[id]
		if !ok || p == id {
			return id
		}
		id = p
	}
}

// union joins two sessions; the smaller id names the group.
func (o *owners) union(a, b string) {
	ends := []string{o.find(a), o.find(b)}
	sort.Strings(ends)
	if ends[0] != ends[1] {
		o.parent[ends[1]] = ends[0]
	}
}
