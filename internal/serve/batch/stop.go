package batch

import "strings"

// stopper finds stop strings in text that comes in pieces. Text that may be
// the beginning of one is held back.
type stopper struct {
	stops []string
	held  string
	found bool // a stop string was found
}

// add returns the text that may be shown, and whether a stop string was found;
// it and what follows are dropped then.
func (s *stopper) add(text string) (shown string, stopped bool) {
	if len(s.stops) == 0 {
		return text, false
	}
	all := s.held + text
	first := -1
	for _, stop := range s.stops {
		if at := strings.Index(all, stop); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	if first >= 0 {
		s.held, s.found = "", true
		return all[:first], true
	}
	keep := 0
	for _, stop := range s.stops {
		keep = max(keep, overlap(all, stop))
	}
	s.held = all[len(all)-keep:]
	return all[:len(all)-keep], false
}

// rest returns what is held back, at the end of the text.
func (s *stopper) rest() string {
	held := s.held
	s.held = ""
	return held
}

// overlap is the length of the longest end of text that begins stop.
func overlap(text, stop string) int {
	for n := min(len(stop)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, stop[:n]) {
			return n
		}
	}
	return 0
}
