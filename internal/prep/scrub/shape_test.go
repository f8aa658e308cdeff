package scrub

import "testing"

// TestAnchors: a match can start only where an anchor is, or there are none.
func TestAnchors(t *testing.T) {
	for _, c := range []struct {
		expr     string
		keywords []string
		anchors  int
	}{
		{`(?:abc|def)=\d+`, []string{"abc", "def"}, 2},
		{`(?:abc|\wdef)=\d+`, []string{"abc", "def"}, 0},
		{`\w+abc`, []string{"abc"}, 0},
		{`(?i)sk-[a-z]{3}`, []string{"sk-"}, 1},
	} {
		s, err := shapeOf(c.expr, c.keywords)
		if err != nil || len(s.anchors) != c.anchors {
			t.Errorf("%s: %d anchors, want %d (%v)", c.expr, len(s.anchors), c.anchors, err)
		}
	}
}
