package split

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"golang.org/x/text/unicode/norm"
)

// key identifies content: the first half of a SHA-256.
type key struct{ hi, lo uint64 }

func (k key) compare(o key) int { return cmp.Or(cmp.Compare(k.hi, o.hi), cmp.Compare(k.lo, o.lo)) }
func (k key) less(o key) bool   { return k.compare(o) < 0 }

func keyOf(text []byte) key {
	sum := sha256.Sum256(text)
	return key{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])}
}

// hasher hashes values so that spacing, case, escapes, composed letters and
// the order of keys do not matter.
type hasher struct {
	norm  []byte // scratch for normalised text
	stack []byte // the encoded children of the values that are open
}

// content is the key of a record: of its kind and the fields that count.
func (h *hasher) content(r record) key {
	h.stack = append(h.stack[:0], kinds[r.kind].name...)
	for _, name := range kinds[r.kind].content {
		h.push('f', h.value(r.fields[name]))
	}
	return keyOf(h.stack)
}

func (h *hasher) push(tag byte, k key) {
	h.stack = append(h.stack, tag)
	h.stack = binary.BigEndian.AppendUint64(h.stack, k.hi)
	h.stack = binary.BigEndian.AppendUint64(h.stack, k.lo)
}

// value hashes any JSON value. A list hashes its items in order, an object the
// sum of its pairs.
func (h *hasher) value(v gjson.Result) key {
	switch {
	case v.Type == gjson.String:
		h.norm = normalise(append(h.norm[:0], 's'), v.Str)
		return keyOf(h.norm)
	case v.IsArray():
		base := len(h.stack)
		h.stack = append(h.stack, 'a')
		v.ForEach(func(_, item gjson.Result) bool {
			h.push('i', h.value(item))
			return true
		})
		return h.close(base)
	case v.IsObject():
		var sum key
		v.ForEach(func(name, item gjson.Result) bool {
			inner := h.value(item)
			base := len(h.stack)
			h.stack = append(h.stack, name.Str...)
			h.push('v', inner)
			pair := h.close(base)
			sum.hi, sum.lo = sum.hi+pair.hi, sum.lo+pair.lo
			return true
		})
		base := len(h.stack)
		h.push('o', sum)
		return h.close(base)
	default:
		return keyOf(append(append(h.norm[:0], 'r'), v.Raw...))
	}
}

// close hashes what was pushed since base and removes it.
func (h *hasher) close(base int) key {
	k := keyOf(h.stack[base:])
	h.stack = h.stack[:base]
	return k
}

// normalise appends text with letters composed and in lower case, and each run
// of white space as one space; none at the ends.
func normalise(dst []byte, text string) []byte {
	start, space := len(dst), false
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			return appendFolded(dst[:start], text)
		}
		i++
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			space = len(dst) > start
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		if space {
			dst, space = append(dst, ' '), false
		}
		dst = append(dst, c)
	}
	return dst
}

// appendFolded is normalise for text beyond ASCII.
func appendFolded(dst []byte, text string) []byte {
	words := bytes.Fields(norm.NFC.Bytes([]byte(text)))
	for i, word := range words {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, bytes.Map(unicode.ToLower, word)...)
	}
	return dst
}
