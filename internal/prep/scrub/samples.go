package scrub

import (
	"regexp"
	"slices"
	"strings"
)

// samplePasswords are values that stand for a password, or that everybody
// knows.
var samplePasswords = []string{
	"pass", "password", "passwd", "passphrase", "pwd", "pw", "secret", "token", "user", "username", "root", "admin", "administrator", "guest",
	"test", "testing", "postgres", "mysql", "redis", "rabbitmq", "mongo", "example", "changeme", "changeit", "foo", "bar", "baz", "qux",
	"foobar", "none", "null", "nil", "true", "false", "hostname", "host", "port", "mypass", "mypassword", "yourpassword", "your-password",
	"your_password", "userpass", "password1", "hello", "string", "value", "opensesame", "open sesame",
}

// samplePassword recognises place-holders: known words, variables, templates,
// format verbs and runs of one character.
func samplePassword(s string) bool {
	t := strings.ToLower(strings.Trim(s, "*_-.[]<>{}"))
	switch {
	case len(t) < 3, slices.Contains(samplePasswords, t), strings.Contains(t, "redacted"), strings.Contains(t, "example"):
		return true
	case strings.Contains(t, "ssword") && !hasDigit(strings.ReplaceAll(t, "%2f", "")):
		return true
	case strings.Trim(t, t[:1]) == "":
		return true
	case strings.IndexByte("$<[{(", s[0]) >= 0, strings.Contains(s, "{{"), strings.Contains(s, "${"), strings.Contains(s, "..."), strings.Contains(s, "{}"):
		return true
	case invented(s), isPublished(s):
		return true
	case strings.HasPrefix(s, "%(") || s[0] == '%' && (len(s) < 4 || s[len(s)-1] == '%' || strings.Contains(s, "%s")):
		return true
	}
	return false
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }
func hasLower(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return 'a' <= r && r <= 'z' }) >= 0
}
func hasUpper(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' }) >= 0
}

// identifier recognises names of code that hold one number, such as
// testRSA2048PrivateKey or ed25519.Ed25519PublicKey: whole words, where a random key changes case and
// between letters and digits every other character.
func identifier(s string) bool {
	return wordsWithNumber(s, 4) || snakeCase.MatchString(s) && len(s) < 24
}

// snakeCase is words in small letters with a version at the end.
var snakeCase = regexp.MustCompile(`^[a-z]{3,}(?:[_.-][a-z]{3,})*[_.-][a-z]{3,}\d{0,2}(?:\.\d{1,2})?$`)

// camelCase recognises short names of code as well, whose words are shorter. It
// is for places where a secret is not to be expected.
func camelCase(s string) bool { return len(s) < 20 && wordsWithNumber(s, 3) }

// wordsWithNumber tells whether s is one number in words that have wordLength
// letters on average.
func wordsWithNumber(s string, wordLength int) bool {
	number, digits, humps, letters := "", 0, 0, 0
	for i := range len(s) {
		c, before := s[i], byte('.')
		if i > 0 {
			before = s[i-1]
		}
		switch {
		case digitBytes.has(c):
			if digitBytes.has(before) {
				continue
			}
			run := digitRun(s[i:])
			if number != "" && run != number {
				return false
			}
			number, digits = run, len(run)
		case isWord(c) || c == '.' || c == '-':
			letters++
			if c != lower(c) && before == lower(before) {
				humps++
			}
		default:
			return false
		}
	}
	return number != "" && digits <= 5 && humps*wordLength <= letters
}

// digitRun is the digits that s starts with.
func digitRun(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}
