package scrub

import "strings"

// pemRule has gitleaks' name and finds more: blocks that were cut at either
// end; and less: a header and a footer in source code with no key in between.
var pemRule = &rule{id: "private-key", description: "private key in PEM or PGP form, whole or cut"}

const (
	pemLimit   = 1 << 15 // bytes of a key
	pemMinimum = 40      // base64 characters that a key has at least
	pemLine    = 24      // base64 characters of its longest line at least
)

var (
	base64Bytes = merge(wordBytes, setOf("+/=-"))
	pemBytes    = merge(base64Bytes, setOf(" \t\r\n\\\"',`+:;.|>#*()"))
)

// detectPEMStart looks for a key after the text[start:end] "-----BEGIN".
func detectPEMStart(sc *scan, r *rule, text string, start, end int) {
	label, size := pemLabel(text[end:])
	if !strings.Contains(label, "PRIVATE KEY") {
		return
	}
	body := end + size
	stop := body
	for stop < len(text) && stop-body < pemLimit && pemBytes.has(text[stop]) && !strings.HasPrefix(text[stop:], "-----") {
		stop++
	}
	if strings.HasPrefix(text[stop:], "-----") {
		if _, n := pemLabel(text[min(len(text), stop+5):]); n > 0 {
			if keyLike(text[body:stop]) {
				sc.spans = append(sc.spans, span{start, stop + 5 + n, r})
			}
			return
		}
	}
	stop = body + base64Reach(text[body:stop])
	if keyLike(text[body:stop]) {
		sc.spans = append(sc.spans, span{start, stop, r})
	}
}

// pemLabel reads up to the dashes that end a header or footer; size includes
// them and is 0 when there are none.
func pemLabel(rest string) (label string, size int) {
	i := strings.Index(rest[:min(len(rest), 110)], "-----")
	if i < 0 || strings.ContainsAny(rest[:i], "\n\"") {
		return "", 0
	}
	return strings.ToUpper(rest[:i]), i + 5
}

// base64Reach is where the base64 lines at the start of s end: prose that
// follows a cut key is kept.
func base64Reach(s string) int {
	reach := 0
	for at := 0; at < len(s); {
		run := at
		for run < len(s) && base64Bytes.has(s[run]) {
			run++
		}
		if run-at >= pemLine || reach > 0 && run-at > 0 && strings.Trim(s[run-1:run], "=") == "" {
			reach = run
		} else if run > at && reach > 0 {
			return reach
		}
		at = run + 1
	}
	return reach
}

// detectPEMEnd looks for a key before the text[start:end] "-----END".
func detectPEMEnd(sc *scan, r *rule, text string, start, end int) {
	label, size := pemLabel(text[end:])
	if !strings.Contains(label, "PRIVATE KEY") {
		return
	}
	from := start
	for from > 0 && start-from < pemLimit && pemBytes.has(text[from-1]) && !strings.HasSuffix(text[:from], "-----") {
		from--
	}
	from += firstBase64(text[from:start])
	if keyLike(text[from:start]) {
		sc.spans = append(sc.spans, span{from, end + size, r})
	}
}

// firstBase64 is where the first long base64 line of s starts.
func firstBase64(s string) int {
	run := 0
	for i := range len(s) {
		if !base64Bytes.has(s[i]) {
			run = 0
			continue
		}
		if run++; run == pemLine {
			return i + 1 - run
		}
	}
	return len(s)
}

// keyLike tells whether s is mostly base64, with at least one long line.
func keyLike(s string) bool {
	total, other, run, longestRun := 0, 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case base64Bytes.has(c):
			total++
			run++
			longestRun = max(longestRun, run)
			continue
		case c > ' ' && c != '\\' && c != '"':
			other++
		}
		run = 0
	}
	return total >= pemMinimum && longestRun >= pemLine && other*4 < total
}
