package bpe

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// class is what the pre-tokeniser knows about a rune.
type class uint8

const (
	none class = iota // past the end of the text
	letter
	number
	space
	other
)

func classify(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		return asciiClass(byte(r))
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

func asciiClass(c byte) class {
	switch {
	case c|0x20 >= 'a' && c|0x20 <= 'z':
		return letter
	case c >= '0' && c <= '9':
		return number
	case c == ' ' || c >= '\t' && c <= '\r':
		return space
	}
	return other
}

// Clean replaces every byte of text that is not part of valid UTF-8 by U+FFFD,
// as libllama does before it cuts words.
func Clean(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		b.WriteRune(r)
	}
	return b.String()
}

// Split cuts valid UTF-8 text into words. The words laid end to end are the
// text. The rule, as a regular expression tried from left to right:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N}{1,3} |
//	 ?[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
func Split(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(text) > 0 {
			n := wordLen(text)
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// wordLen returns the length in bytes of the first word of a non-empty text.
func wordLen(text string) int {
	if n := contraction(text); n > 0 {
		return n
	}
	first, width, kind := runeAt(text, 0)
	_, nextWidth, next := runeAt(text, width)
	switch {
	case kind == letter:
		return run(text, width, letter, len(text))
	case kind == number:
		return run(text, width, number, 2)
	case next == letter && first != '\r' && first != '\n':
		return run(text, width+nextWidth, letter, len(text))
	case kind == other:
		return lineEnd(text, run(text, width, other, len(text)))
	case first == ' ' && next == other:
		return lineEnd(text, run(text, width+nextWidth, other, len(text)))
	}
	return blank(text)
}

// contraction returns the length of 's, 'll and the like in either case.
func contraction(text string) int {
	if len(text) < 2 || text[0] != '\'' {
		return 0
	}
	switch text[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) < 3 {
		return 0
	}
	switch strings.ToLower(text[1:3]) {
	case "re", "ve", "ll":
		return 3
	}
	return 0
}

func runeAt(text string, at int) (rune, int, class) {
	if at >= len(text) {
		return 0, 0, none
	}
	if c := text[at]; c < utf8.RuneSelf {
		return rune(c), 1, asciiClass(c)
	}
	r, width := utf8.DecodeRuneInString(text[at:])
	return r, width, classify(r)
}

// run advances from at over at most limit runes of one class.
func run(text string, at int, want class, limit int) int {
	for ; limit > 0; limit-- {
		_, width, kind := runeAt(text, at)
		if kind != want {
			break
		}
		at += width
	}
	return at
}

func lineEnd(text string, at int) int {
	for at < len(text) && (text[at] == '\r' || text[at] == '\n') {
		at++
	}
	return at
}

// blank handles a word that begins with white space and takes no letter or
// punctuation along: up to the last line break of the run, or else all of the
// run but its last rune, which belongs to the word that follows.
func blank(text string) int {
	end, last, breaks := 0, 0, 0
	for {
		r, width, kind := runeAt(text, end)
		if kind != space {
			break
		}
		last = end
		end += width
		if r == '\r' || r == '\n' {
			breaks = end
		}
	}
	switch {
	case breaks > 0:
		return breaks
	case last > 0 && end < len(text):
		return last
	}
	return end
}
