package scrub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Replacements. A secret becomes "<redacted-0123456789>", an e-mail address an
// address at example.com, the name of a home directory a neutral one. The hex
// digits are a keyed hash: equal secrets get equal replacements.
const (
	maskStart   = "<redacted-"
	maskDigits  = 10
	maskEnd     = ">"
	mailDigits  = 8
	neutralMail = "@example.com"
	neutralHome = "user"
)

// naming gives replacements.
type naming struct{ key []byte }

func newNaming(seed uint64, key string) naming {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, seed))
	h.Write([]byte(key))
	return naming{key: h.Sum(nil)}
}

func (n naming) of(r *rule, secret string) string {
	switch r.id {
	case homeRule.id:
		return neutralHome
	case mailRule.id:
		return "user-" + n.digits(strings.ToLower(secret), mailDigits) + neutralMail
	default:
		return maskStart + n.digits(secret, maskDigits) + maskEnd
	}
}

func (n naming) digits(secret string, count int) string {
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte(secret))
	return hex.EncodeToString(mac.Sum(nil))[:count]
}

// eachPiece calls f with the parts of text between replacements.
func eachPiece(text string, f func(from int, piece string)) {
	for from := 0; from <= len(text); {
		at, size := nextMask(text[from:])
		if at > 0 {
			f(from, text[from:from+at])
		}
		from += at + max(size, 1)
	}
}

// nextMask finds the first replacement in text: where it starts and its size.
// Without one it returns the length of text and 0.
func nextMask(text string) (at, size int) {
	for from := 0; ; {
		i := strings.Index(text[from:], maskStart)
		if i < 0 {
			return len(text), 0
		}
		i += from
		rest := text[i+len(maskStart):]
		if len(rest) > maskDigits && isHex(rest[:maskDigits]) && rest[maskDigits] == maskEnd[0] {
			return i, len(maskStart) + maskDigits + len(maskEnd)
		}
		from = i + len(maskStart)
	}
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
