package chatlog

// clip is a text of which only the beginning and the end may be kept.
type clip struct {
	head string // the whole text when tail is empty
	tail string
	size int // of the whole text, bytes
}

// redactMargin is how far beyond a cut redaction looks, so that a secret that
// the cut would divide is still seen whole. Private keys are the longest.
const redactMargin = 8 << 10

// newClip keeps what shorten needs of text for limit bytes, and margin bytes
// more on both sides of the cut. limit 0 keeps everything.
func newClip(text []byte, limit, margin int) clip {
	c := clip{size: len(text)}
	if limit <= 0 || len(text) <= limit+2*margin {
		c.head = string(text)
		return c
	}
	head, tail := cutPoints(text, limit)
	c.head = string(text[:runeStart(text, min(head+margin, len(text)))])
	c.tail = string(text[runeStart(text, max(tail-margin, 0)):])
	return c
}

// cutPoints are the ends of what is left out of a text longer than limit.
func cutPoints[T string | []byte](text T, limit int) (head, tail int) {
	return runeStart(text, limit*3/4), runeStart(text, len(text)-limit/4)
}

// text applies clean to what was kept and cuts the middle out when the text is
// longer than limit bytes, saying how much is missing.
func (c clip) text(limit int, clean func(string) string) (text string, cut bool) {
	if c.tail == "" {
		return shorten(clean(c.head), limit)
	}
	head, tail := clean(c.head), clean(c.tail)
	head = head[:runeStart(head, min(limit*3/4, len(head)))]
	tail = tail[runeStart(tail, max(len(tail)-limit/4, 0)):]
	return head + omission(c.size-len(head)-len(tail)) + tail, true
}

// shorten cuts the middle out of a text longer than limit bytes.
func shorten(text string, limit int) (string, bool) {
	if limit <= 0 || len(text) <= limit {
		return text, false
	}
	head, tail := cutPoints(text, limit)
	return text[:head] + omission(tail-head) + text[tail:], true
}

func omission(n int) string { return "\n[" + count(n, "byte") + " omitted]\n" }

// runeStart moves i back to the start of a character.
func runeStart[T string | []byte](text T, i int) int {
	for i > 0 && i < len(text) && text[i]&0xC0 == 0x80 {
		i--
	}
	return i
}
