package scrub

import (
	"regexp"
	"strconv"
	"strings"
)

// The rule for generic keys sees a name and a value and nothing that is typical
// of either: what is asked of them beyond gitleaks' expression is here.

var (
	strongName = regexp.MustCompile(`(?i:token)s?(?:[^a-z]|$)|(?i)api[_.-]?key|secret|passw|pwd|credential|creds|session|webhook|authorization|(?:auth|access|private|sign\w*|encrypt\w*|client|master|account|licen[sc]e|service|storage|admin|deploy|app)[_.-]?key`)
	secretName = regexp.MustCompile(`(?i)secret|passw|pwd|api[_.-]?key|auth|credential`)
	publicName = regexp.MustCompile(`(?i:publi[ck]|pub[_.-]?key|publishable|verif\w*[_.-]?key|vkey|fingerprint|thumbprint|websocket|(?:page|next|request|change|action|sync|sequence|task|term)[_.-]?token|continuation|key[_.-]?id\b)|Pub[A-Z_]`)
	publicKey  = regexp.MustCompile(`^(?:MIIBIjANBgkq|MIICIjANBgkq|MFkwEwYHKoZI|MHYwEAYHKoZI|MCowBQYDK2)`) // base64 of how public keys start in DER
	hashName   = regexp.MustCompile(`(?i)sha-?\d|md5|digest|checksum|hash|commit|revision|etag|integrity|crc|blake|fixture`)
	fileName   = regexp.MustCompile(`(?i)\.(?:m?js|css|html?|json|map|wasm|tgz|gz|zip|whl|jar|svg|png|woff2?|so|exe|dll|bin|dat|pt|gguf|safetensors|txt|md|py|go|rs|tsx?|jsx|ya?ml|toml|xml|c|h)["']?\s*[:=,]`)
	vectorWord = regexp.MustCompile(`(?i)cipher_?text|plain_?text|peer_?public|\bvectors?\b|test_?vector|\btc_?id\b|\baad\b`)
	longHex    = regexp.MustCompile(`[0-9a-fA-F]{32,}`)
	longValue  = regexp.MustCompile(`[0-9a-zA-Z+/=_-]{32,}`)
	uuid       = regexp.MustCompile(`(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

const (
	hashNear   = 32  // bytes before a name in which a word for hashes counts
	vectorNear = 500 // bytes around a value in which other test vectors count
	weakHex    = 150 // hex digits of the longest value that a weak name can have
)

// genericHolds judges text[from:to], a value that the expression of the generic
// rule found with its name from start on.
func genericHolds(text string, start, from, to int) bool {
	name, value := text[start:from], text[from:to]
	hex := isHex(strings.ToLower(value))
	switch {
	case identifier(value), invented(value), keywordArgument(value), publicKey.MatchString(value), publicName.MatchString(name), fileName.MatchString(name):
		return false
	case number(value), hex && len(value) >= 32 && inVectors(text, from, to, strongName.MatchString(name)):
		return false
	case hex && !secretName.MatchString(name) && inTable(text, from, to):
		return false
	case strongName.MatchString(name):
		return true
	case uuid.MatchString(value), strings.Contains(name, ","), len(value) >= 40 && inTable(text, from, to):
		return false
	case hex && hashName.MatchString(text[max(0, start-hashNear):from]):
		return false
	}
	return hex && len(value) >= 32 && len(value) <= weakHex || mixed(value) && !camelCase(value) && 5*inWords(value) < 2*len(value)
}

// keywordArgument recognises name=value of a call: what has an equals sign
// before its end is no value alone.
func keywordArgument(s string) bool { return strings.Contains(strings.TrimRight(s, "="), "=") }

// number tells whether s is a number with a point or an exponent.
func number(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && strings.ContainsAny(s, ".eE")
}

// inVectors tells whether text[from:to] stands among other long hex values;
// when its name is that of a secret, words of test vectors must be there too.
func inVectors(text string, from, to int, named bool) bool {
	around := text[max(0, from-vectorNear):from] + " " + text[to:min(len(text), to+vectorNear)]
	return len(longHex.FindAllStringIndex(around, 2)) == 2 && (!named || vectorWord.MatchString(around))
}

// tableRows is the number of other values that make a table of hashes.
const tableRows = 4

// inTable tells whether text[from:to] stands among values of its length.
func inTable(text string, from, to int) bool {
	around, rows := text[max(0, from-vectorNear):from]+" "+text[to:min(len(text), to+vectorNear)], 0
	for _, other := range longValue.FindAllString(around, -1) {
		if len(other) == to-from {
			rows++
		}
	}
	return rows >= tableRows
}
