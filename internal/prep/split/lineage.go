package split

import (
	"github.com/cespare/xxhash/v2"
	"github.com/tidwall/gjson"
)

// lineage says what a record must stay with.
type lineage struct {
	units []uint64 // one conversation or file: its records are never duplicates of each other
	links []uint64 // what else it shares content with: copies of its file
	shown []uint64 // files of its repository that are shown beside its own
	repo  uint64   // its repository, or 0
}

// Fields that name a conversation, by whatever tool wrote the record. They are
// one name space: a group may be called like its first session.
var sessionFields = []string{"group", "lineage", "session", "session_id", "conversation_id", "parent_session"}

// lineageOf reads where a record comes from. A field may hold one name or a
// list of names.
func lineageOf(r record) (l lineage) {
	for _, field := range sessionFields {
		eachName(r.fields[field], func(name string) { l.units = append(l.units, nameKey("session", name)) })
	}
	repo, path := r.text("repo"), r.text("path")
	if path != "" {
		l.units = append(l.units, nameKey("file", repo+"\x00"+path))
		if sum := r.text("sha256"); sum != "" {
			l.links = append(l.links, nameKey("sha256", sum))
		}
		eachName(r.fields["context"], func(name string) { l.shown = append(l.shown, nameKey("file", repo+"\x00"+name)) })
	}
	if repo != "" {
		l.repo = nameKey("repo", repo)
	}
	return l
}

// eachName calls do with a name, or with each of a list of names or of objects
// with a path.
func eachName(v gjson.Result, do func(string)) {
	switch {
	case v.Type == gjson.String && v.Str != "":
		do(v.Str)
	case v.Type == gjson.Number:
		do(v.Raw)
	case v.IsArray():
		v.ForEach(func(_, item gjson.Result) bool {
			if path := item.Get("path"); path.Type == gjson.String {
				item = path
			}
			if item.Type == gjson.String && item.Str != "" {
				do(item.Str)
			}
			return true
		})
	}
}

// nameKey is never 0, which stands for no name.
func nameKey(space, name string) uint64 { return max(1, xxhash.Sum64String(space+" "+name)) }
