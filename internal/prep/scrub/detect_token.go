package scrub

import (
	"regexp"
	"slices"
	"strings"
)

// tokenRule finds the tokens of services that no rule knows: most of them put a
// short prefix before random letters and digits.
var tokenRule = &rule{id: "prefixed-token", description: "random letters and digits after a short prefix, such as abc_..."}

const (
	tokenBody   = 24 // letters and digits that the random part has at least
	tokenPrefix = 12 // characters of a prefix at most
)

// idPrefixes are those of identifiers that services hand out openly, and verbs
// that names of code start with.
var idPrefixes = []string{"test", "get", "set", "is", "has", "on", "to", "from", "use", "do", "new", "make", "create", "check",
	"msg", "toolu", "srvtoolu", "req", "resp", "chatcmpl", "cmpl", "call", "run", "thread", "asst", "file", "batch", "msgbatch", "evt", "event",
	"cus", "price", "prod", "sub", "pi", "ch", "acct", "txn", "user", "org", "proj", "team", "id", "fc", "rs", "step", "container", "dataset", "ftjob", "rev", "build", "chunk", "diff"}

var (
	alnumBytes  = func() byteSet { s := wordBytes; s['_'>>6] &^= 1 << ('_' & 63); return s }()
	tokenBytes  = merge(wordBytes, setOf("-"))
	beforeToken = merge(tokenBytes, setOf("+/.%\\"))
)

// detectToken looks at both sides of the _ or - at text[start].
func detectToken(sc *scan, r *rule, text string, start, end int) {
	if end+tokenBody > len(text) || !alnumBytes.has(text[end+tokenBody-1]) || !alnumBytes.has(text[end]) {
		return
	}
	stop := end
	for stop < len(text) && alnumBytes.has(text[stop]) {
		stop++
	}
	body := text[end:stop]
	mixedBody := len(body) >= tokenBody && randomBody(body)
	if !mixedBody && !smallBody(body) {
		return
	}
	from := start
	for from > 0 && tokenBytes.has(text[from-1]) && start-from <= 2*tokenPrefix {
		from--
	}
	if from > 0 && beforeToken.has(text[from-1]) || !alnumBytes.has(text[from]) || !prefixLike(text[from:start]) {
		return
	}
	if !mixedBody && !secretPrefix.MatchString(text[from:start]) {
		return
	}
	for stop < len(text) && tokenBytes.has(text[stop]) {
		stop++
	}
	if alphabetical(text[from:stop]) {
		return
	}
	sc.spans = append(sc.spans, span{from, stop, r})
}

// secretPrefix is what services call secrets in the prefixes of their tokens.
// Hex digits are a token only after one of these: they are the hashes of files
// and commits as well.
var secretPrefix = regexp.MustCompile(`(?i)^(?:\w*[_-])?(?:[sar]?[sp]k|sdk|[a-z]*ak|[a-z]*ik|seck?|[a-z]*seck|secret|key|api|[a-z]{0,5}pat|pt|tok|token|live|prod|[a-z]*ua|at|or)(?:[_-][a-z]?\d{0,2})?$`)

const smallLength = 32 // characters of a token in small letters or hex digits at least

// smallBody recognises random small letters and digits.
func smallBody(s string) bool {
	return len(s) >= smallLength && !hasUpper(s) && hasLower(s) && hasDigit(s) && entropy(s) > 3.2 && numbersIn(s) >= 4 && !invented(s)
}

// randomBody tells random letters and digits from names of code: it holds
// several numbers and more kinds of characters than words do.
func randomBody(s string) bool {
	return numbersIn(s) >= 2 && upperAndLower(s) && entropy(s) > 3.8 && 2*inWords(s) < len(s) && !invented(s)
}

// numbersIn counts the runs of digits.
func numbersIn(s string) int {
	numbers := 0
	for i := range len(s) {
		if digitBytes.has(s[i]) && (i == 0 || !digitBytes.has(s[i-1])) {
			numbers++
		}
	}
	return numbers
}

// inWords counts the characters of s that are in runs of small letters as long
// as those of words.
func inWords(s string) int {
	count, run := 0, 0
	for i := range len(s) + 1 {
		if i < len(s) && 'a' <= s[i] && s[i] <= 'z' {
			run++
			continue
		}
		if run >= 4 {
			count += run
		}
		run = 0
	}
	return count
}

// prefixLike tells whether s is one or two short words in one case, and neither
// the name of a hash nor the start of an identifier.
func prefixLike(s string) bool {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == '_' || r == '-' })
	if len(words) == 0 || len(words) > 2 || slices.Contains(idPrefixes, words[0]) || hashName.MatchString(s) || publicName.MatchString(s) {
		return false
	}
	for _, word := range words {
		if len(word) < 2 || len(word) > tokenPrefix || digitBytes.has(word[0]) || hasUpper(word) && (hasLower(word) || hasDigit(word)) {
			return false
		}
	}
	return true
}
