package scrub

import "strings"

// mailRule and homeRule find personal data, which clean text holds as well:
// they are counted apart and their replacements stay readable.
var (
	mailRule = &rule{id: "email", description: "e-mail address; it becomes one at example.com"}
	homeRule = &rule{id: "home-directory", description: "user name in the path of a home directory; it becomes " + neutralHome}
)

func (r *rule) personal() bool { return r.id == mailRule.id || r.id == homeRule.id }

var (
	localBytes  = merge(wordBytes, setOf(".+-%"))
	domainBytes = merge(wordBytes, setOf(".-"))
)

// detectMail looks around an @ for an address: a local part of at least two
// characters and a domain that ends in letters.
func detectMail(sc *scan, r *rule, text string, at, _ int) {
	from := at
	for from > 0 && localBytes.has(text[from-1]) {
		from--
	}
	for from < at && strings.IndexByte(".-+%", text[from]) >= 0 {
		from++
	}
	to := domainEnd(text, at+1)
	if at-from < 2 || at-from > 64 || to == 0 || text[at-1] == '.' {
		return
	}
	if mailAllowed(text, from, at, to) {
		return
	}
	sc.spans = append(sc.spans, span{from, to, r})
}

// domainEnd returns where the domain that starts at from ends, or 0 when there
// is none: labels of letters, digits and hyphens, the last one letters only.
func domainEnd(text string, from int) int {
	end := from
	for end < len(text) && domainBytes.has(text[end]) && text[end] != '_' {
		end++
	}
	if end < len(text) && text[end] == '_' {
		return 0
	}
	for end > from {
		dot := strings.LastIndexByte(text[from:end], '.')
		if dot <= 0 {
			return 0
		}
		if top := text[from+dot+1 : end]; len(top) >= 2 && len(top) <= 24 && isLetters(top) {
			if domain := text[from:end]; !strings.Contains(domain, "..") && domain[0] != '-' && domain[0] != '.' && !strings.Contains(domain, "-.") && !strings.Contains(domain, ".-") {
				return end
			}
			return 0
		}
		end = from + dot
	}
	return 0
}

func isLetters(s string) bool {
	for i := range len(s) {
		if c := lower(s[i]); c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
