package batch

import "testing"

// TestChooseAMember gathers the requests of an adapter, but leaves no member idle and no slot free for that.
func TestChooseAMember(t *testing.T) {
	for _, c := range []struct {
		name    string
		load    []load
		adapter string
		want    int
	}{
		{"idle before its own", []load{{"a": 1}, {}}, "a", 1},
		{"its own before another's", []load{{"a": 2}, {"b": 2}}, "b", 1},
		{"fewer, though another's", []load{{"a": 3}, {"b": 1}}, "a", 1},
		{"a free slot", []load{{"a": 4}, {"b": 3}}, "a", 1},
		{"none free", []load{{"a": 5}, {"b": 4}}, "a", 0},
	} {
		g := &Group{share: 4, load: c.load}
		if got := g.choose(c.adapter); got != c.want {
			t.Errorf("%s: member %d, want %d", c.name, got, c.want)
		}
	}
}
