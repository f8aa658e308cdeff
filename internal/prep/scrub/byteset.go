package scrub

// byteSet is a set of byte values.
type byteSet [4]uint64

func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s *byteSet) addRange(lo, hi byte) {
	for c := int(lo); c <= int(hi); c++ {
		s.add(byte(c))
	}
}

// letter returns the one byte of the set, in lower case, when the set holds
// one byte or one letter in both cases.
func (s *byteSet) letter() (byte, bool) {
	found, n := byte(0), 0
	for c := range 256 {
		if s.has(byte(c)) && (n == 0 || lower(byte(c)) != found) {
			found, n = lower(byte(c)), n+1
		}
	}
	return found, n == 1
}

// setOf holds the bytes of chars; "a-z" forms are not interpreted.
func setOf(chars string) byteSet {
	var s byteSet
	for i := range len(chars) {
		s.add(chars[i])
	}
	return s
}

// wordBytes are the characters of \w.
var wordBytes = func() byteSet {
	s := setOf("_")
	s.addRange('a', 'z')
	s.addRange('A', 'Z')
	s.addRange('0', '9')
	return s
}()

func isWord(c byte) bool { return wordBytes.has(c) }
