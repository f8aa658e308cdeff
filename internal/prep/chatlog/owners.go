package chatlog

import "hash/maphash"

// owners decides, over all inputs, which segment trains on a response that
// several hold, because resuming or forking a session copies its history and
// proxies log it again with every request, and which sessions belong together.
//
// It holds about 50 bytes a response: memory that grows with the input, though
// a thousand times slower.
type owners struct {
	best   map[uint64]claim // by hash of the response's key
	number map[string]int32 // of a session
	names  []string         // of sessions, by number
	parent []int32          // union-find over sessions
}

// claim is a segment that holds a response.
type claim struct {
	unit    uint64 // see task
	segment int32
	length  int32 // records of the segment that say something
	session int32
}

// survey is what owners needs to know of one session.
type survey struct {
	id       string
	origins  []string
	segments []surveyed
}

type surveyed struct {
	length int
	keys   []uint64
}

// keySeed is drawn anew by every process: hashes of keys never leave it.
var keySeed = maphash.MakeSeed()

func hashKey(key string) uint64 { return maphash.String(keySeed, key) }

// survey looks at the segments of a session.
func (s *session) survey(sidechains bool) survey {
	out := survey{id: s.id, origins: s.origins}
	for _, seg := range s.segments(sidechains) {
		var have surveyed
		for _, r := range seg.records {
			if r.isTalk() {
				have.length++
			}
			if r.Type == typeAssistant {
				have.keys = append(have.keys, hashKey(r.responseKey()))
			}
		}
		out.segments = append(out.segments, have)
	}
	return out
}

func newOwners() *owners {
	return &owners{best: map[uint64]claim{}, number: map[string]int32{}}
}

// add notes a session. The longest segment gets a response, since a copy that
// was continued contains the original; the first one wins a tie.
func (o *owners) add(unit uint64, s survey) {
	id := o.session(s.id)
	for _, origin := range s.origins {
		o.union(id, o.session(origin))
	}
	for i, seg := range s.segments {
		for _, key := range seg.keys {
			c := claim{unit: unit, segment: int32(i), length: int32(seg.length), session: id}
			have, ok := o.best[key]
			if ok {
				o.union(id, have.session)
			}
			if !ok || c.length > have.length {
				o.best[key] = c
			}
		}
	}
}

// owns tells whether a segment is the one to train on a response.
func (o *owners) owns(key string, unit uint64, segment int) bool {
	c, ok := o.best[hashKey(key)]
	return !ok || c.unit == unit && int(c.segment) == segment
}

// group names the set of sessions that id belongs to.
func (o *owners) group(id string) string {
	n, ok := o.number[id]
	if !ok {
		return id
	}
	for o.parent[n] != n {
		n = o.parent[n]
	}
	return o.names[n]
}

func (o *owners) session(id string) int32 {
	n, ok := o.number[id]
	if !ok {
		n = int32(len(o.names))
		o.number[id], o.names, o.parent = n, append(o.names, id), append(o.parent, n)
	}
	return n
}

func (o *owners) find(n int32) int32 {
	for o.parent[n] != n {
		o.parent[n] = o.parent[o.parent[n]]
		n = o.parent[n]
	}
	return n
}

// union joins two sessions; the smaller id names the group.
func (o *owners) union(a, b int32) {
	a, b = o.find(a), o.find(b)
	if a == b {
		return
	}
	if o.names[b] < o.names[a] {
		a, b = b, a
	}
	o.parent[b] = a
}
