package bpe

import (
	"strings"
	"unicode/utf8"
)

// byteRunes spells each byte as one printable rune, the alphabet of GPT-2's
// vocabulary files: printable Latin-1 stands for itself, the other 68 bytes
// take the runes from U+0100 on in byte order.
var byteRunes = newByteRunes()

// runeBytes is the inverse of byteRunes; absent runes map to -1.
var runeBytes = newRuneBytes(byteRunes)

func newByteRunes() (runes [256]rune) {
	next := rune(0x100)
	for b := range runes {
		if printable(b) {
			runes[b] = rune(b)
			continue
		}
		runes[b] = next
		next++
	}
	return runes
}

func printable(b int) bool {
	return b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE
}

func newRuneBytes(runes [256]rune) (inverse [0x144]int16) {
	for i := range inverse {
		inverse[i] = -1
	}
	for b, r := range runes {
		inverse[r] = int16(b)
	}
	return inverse
}

// Spell writes raw bytes in the printable alphabet of the vocabulary file.
func Spell(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		b.WriteRune(byteRunes[raw[i]])
	}
	return b.String()
}

// Unspell turns a vocabulary piece back into the bytes it stands for. A rune
// outside the alphabet is kept as its own UTF-8.
func Unspell(piece string) string {
	raw := make([]byte, 0, len(piece))
	for _, r := range piece {
		if int(r) < len(runeBytes) && runeBytes[r] >= 0 {
			raw = append(raw, byte(runeBytes[r]))
			continue
		}
		raw = utf8.AppendRune(raw, r)
	}
	return string(raw)
}
