package scrub

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// placeholderWords are what people write where a secret would stand. A value
// that is made of them alone, in any case, with digits at the end or letters
// written as digits, is no secret that anybody needs to hide.
var placeholderWords = []string{
	"pass", "password", "pasword", "passwd", "passphrase", "pwd", "secret", "super", "private", "public", "credential", "credentials",
	"user", "username", "name", "root", "admin", "administrator", "guest", "account", "login", "client", "server", "service", "host", "localhost",
	"test", "tests", "tester", "testing", "example", "sample", "demo", "dummy", "fake", "mock", "stub", "placeholder", "template", "invalid", "valid",
	"change", "changed", "changeme", "changeit", "replace", "insert", "enter", "your", "mine", "this", "that", "here", "with", "for", "and", "the", "not", "real", "some", "any",
	"foo", "bar", "baz", "qux", "quux", "hello", "world", "letmein", "qwerty", "welcome", "hunter", "opensesame", "open", "sesame", "abc", "xyz", "todo",
	"token", "key", "apikey", "api", "auth", "access", "bearer", "value", "string", "text", "default", "none", "null", "nil", "true", "false", "undefined", "empty",
	"new", "old", "raw", "strong", "weak", "long", "short", "very", "random", "temp", "temporary", "wrong", "right", "bad", "good", "correct", "incorrect", "hidden",
	"local", "prod", "production", "staging", "development", "postgres", "mysql", "redis", "mongo", "mongodb", "rabbit", "rabbitmq", "database", "app",
	"anon", "anonymous", "scott", "tiger", "psw", "scope", "prefix", "suffix", "master", "policy", "shared", "sas", "foobared", "cvs", "pserver", "my", "me", "is", "it", "db", "to", "of", "in", "a",
}

// published are values of standards and manuals, which every reader of them
// knows: RFC 1945, RFC 5849, RFC 6455, RFC 6749, RFC 7519 and what AWS and jwt.io show.
var published = []string{
	"QWxhZGRpbjpvcGVuIHNlc2FtZQ", "0685bd9184jfhq22", "ad180jjd733klru7", "dpf43f3p2l4k3l03", "kd94hf93k423kf44", "pfkkdhi9sl3r4s00",
	"2YotnFZFEjr1zCsicMWpAA", "tGzv3JOkF0XG5Qx2TlKWIA", "SplxlOBeZQQYbYS6WxSbIA", "czZCaGRSa3F0M", "gX1fBat3bV", "7Fjfp0ZBr1KtDRbnfVdmIw",
	"mF_9.B5f-4.1JqM", "eyJzdWIiOiIxMjM0NTY3ODkwIi", "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAs", "wJalrXUtnFEMI", "dGhlIHNhbXBsZSBub25jZQ", "AKIAIOSFODNN7EXAMPLE",
}

// isPublished tells whether s is such a value or holds one.
func isPublished(s string) bool {
	return slices.ContainsFunc(published, func(p string) bool { return strings.Contains(s, p) })
}

const (
	placeholderDigits = 5  // digits that words may have among them
	placeholderLength = 80 // bytes of the longest value that is taken apart
)

// placeholder tells whether s is made of placeholder words, as written,
// without URL escapes, or with letters written as digits.
func placeholder(s string) bool {
	if len(s) > placeholderLength {
		return false
	}
	if plain, err := url.PathUnescape(s); err == nil {
		s = plain
	}
	s = strings.ToLower(s)
	return madeOfWords(s) || madeOfWords(unleet.Replace(s))
}

// unleet writes letters for the digits and signs that stand for them.
var unleet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "$", "s", "@", "a")

// madeOfWords tells whether the letters of s, in lower case, are placeholder
// words and nothing else but a few digits or a count.
func madeOfWords(s string) bool {
	var letters, numbers []byte
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z':
			letters = append(letters, c)
		case digitBytes.has(c):
			numbers = append(numbers, c)
		case c >= 128:
			return false
		}
	}
	few := len(numbers) <= placeholderDigits || strings.HasPrefix("1234567890", string(numbers))
	return few && len(letters) > 2 && segments(string(letters))
}

// segments tells whether s can be cut into placeholder words and runs of x.
func segments(s string) bool {
	reached := make([]bool, len(s)+1)
	reached[0] = true
	for i := range s {
		if !reached[i] {
			continue
		}
		for _, word := range placeholderWords {
			if strings.HasPrefix(s[i:], word) {
				reached[i+len(word)] = true
			}
		}
		if run := len(s[i:]) - len(strings.TrimLeft(s[i:], "x")); run > 0 {
			reached[i+run] = true
		}
	}
	return reached[len(s)]
}

// counted recognises values that somebody typed by counting, such as
// 0123456789abcdef or 1a2b3c4d: most characters are the one before, or the one
// before that, or its successor.
func counted(s string) bool {
	s = strings.ReplaceAll(s, "-", "")
	return len(s) >= 8 && (countedBy(s, 1) || countedBy(s, 2))
}

func countedBy(s string, stride int) bool {
	steps := 0
	for i := stride; i < len(s); i++ {
		if d := lower(s[i]) - lower(s[i-stride]); d <= 1 {
			steps++
		}
	}
	return steps*10 >= (len(s)-stride)*6
}

// periodic recognises values that repeat up to eight bytes throughout.
func periodic(s string) bool {
	for period := 1; period <= 8 && period*3 <= len(s); period++ {
		if s[period:] == s[:len(s)-period] {
			return true
		}
	}
	return false
}

// encoded recognises base64 of a placeholder, alone or after user:.
func encoded(s string) bool {
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if _, password, found := strings.Cut(string(plain), ":"); found {
		plain = []byte(password)
	}
	return err == nil && (placeholder(string(plain)) || counted(string(plain)) || prose(string(plain)))
}

// prose tells whether s is words with blanks between them.
func prose(s string) bool {
	words := strings.Fields(s)
	return len(words) > 1 && !slices.ContainsFunc(words, func(w string) bool { return !isLetters(w) })
}

// alphabetical recognises an alphabet, whatever its order: no character twice.
func alphabetical(s string) bool {
	var seen byteSet
	for i := range len(s) {
		if seen.has(s[i]) {
			return false
		}
		seen.add(s[i])
	}
	return len(s) >= 30
}

// invented joins the signs that a value was made up.
func invented(s string) bool {
	return counted(s) || periodic(s) || alphabetical(s) || placeholder(s) || encoded(s)
}
