package jinja

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	tokEOF tokenKind = iota
	tokData
	tokVarBegin
	tokVarEnd
	tokBlockBegin
	tokBlockEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

type token struct {
	kind tokenKind
	text string // data, name, operator or decoded string
	line int
}

// lexer cuts a template into data and the tokens of its tags. Whitespace is
// settled here: signs on delimiters, trim_blocks (a newline after a block or
// comment goes) and lstrip_blocks (blanks before one that starts a line go).
type lexer struct {
	src       string
	pos       int
	line      int
	lineStart bool // data at pos is at the start of a line
	tokens    []token
}

func lex(src string) ([]token, error) {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	src = strings.TrimSuffix(src, "\n")
	l := &lexer{src: src, line: 1, lineStart: true}
	for l.pos < len(l.src) {
		if err := l.data(); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.line, err)
		}
	}
	l.emit(tokEOF, "")
	return l.tokens, nil
}

func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind: kind, text: text, line: l.line})
}

// advance moves over n bytes and counts their lines.
func (l *lexer) advance(n int) {
	l.line += strings.Count(l.src[l.pos:l.pos+n], "\n")
	l.pos += n
}

var (
	openTag  = regexp.MustCompile(`\{[{%#]`)
	rawBegin = regexp.MustCompile(`^\{%[-+]?\s*raw\s*(-%\}\s*|%\})`)
	rawEnd   = regexp.MustCompile(`\{%([-+]?)\s*endraw\s*(\+%\}|-%\}\s*|%\}\n?)`)
)

// data reads text up to the next tag, and that tag.
func (l *lexer) data() error {
	rest := l.src[l.pos:]
	loc := openTag.FindStringIndex(rest)
	if loc == nil {
		l.emit(tokData, rest)
		l.advance(len(rest))
		return nil
	}
	at := loc[0]
	sign := byte(0)
	if loc[1] < len(rest) && (rest[loc[1]] == '-' || rest[loc[1]] == '+') {
		sign = rest[loc[1]]
	}
	kind := rest[at+1]
	if text := l.trimBefore(rest[:at], sign, kind == '{'); text != "" {
		l.emit(tokData, text)
	}
	l.advance(at)
	if raw := rawBegin.FindString(l.src[l.pos:]); raw != "" {
		return l.raw(len(raw))
	}
	open := 2
	if sign != 0 {
		open = 3
	}
	switch kind {
	case '#':
		return l.comment(open)
	case '{':
		l.emit(tokVarBegin, "")
		l.advance(open)
		return l.tag("}}", tokVarEnd)
	}
	l.emit(tokBlockBegin, "")
	l.advance(open)
	return l.tag("%}", tokBlockEnd)
}

func (l *lexer) trimBefore(text string, sign byte, variable bool) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(text, unicode.IsSpace)
	case sign == '+' || variable:
		return text
	}
	start := strings.LastIndexByte(text, '\n') + 1
	if (start > 0 || l.lineStart) && strings.Trim(text[start:], " \t") == "" {
		return text[:start]
	}
	return text
}

func (l *lexer) comment(open int) error {
	end := strings.Index(l.src[l.pos+open:], "#}")
	if end < 0 {
		return fmt.Errorf("comment without end")
	}
	body := l.src[l.pos+open : l.pos+open+end]
	l.advance(open + end)
	switch {
	case strings.HasSuffix(body, "-"):
		l.closeTag(2, '-', true)
	case strings.HasSuffix(body, "+"):
		l.closeTag(2, '+', true)
	default:
		l.closeTag(2, 0, true)
	}
	return nil
}

// closeTag consumes a closing delimiter and the whitespace it takes along.
func (l *lexer) closeTag(n int, sign byte, block bool) {
	l.advance(n)
	rest := l.src[l.pos:]
	switch {
	case sign == '-':
		l.advance(len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace)))
	case block && sign == 0 && strings.HasPrefix(rest, "\n"):
		l.advance(1)
	}
	l.lineStart = l.src[l.pos-1] == '\n'
}

func (l *lexer) raw(begin int) error {
	l.advance(begin)
	rest := l.src[l.pos:]
	m := rawEnd.FindStringSubmatchIndex(rest)
	if m == nil {
		return fmt.Errorf("raw block without endraw")
	}
	text := l.trimBefore(rest[:m[0]], (rest[m[2]:m[3]] + "\x00")[0], false)
	if text != "" {
		l.emit(tokData, text)
	}
	l.advance(m[1])
	l.lineStart = l.src[l.pos-1] == '\n'
	return nil
}

var operators = []string{"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

var (
	floatForm = regexp.MustCompile(`^[0-9][0-9_]*(\.[0-9][0-9_]*([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)`)
	intForm   = regexp.MustCompile(`^[0-9][0-9_]*`)
)

// tag reads tokens up to the closing delimiter, which counts only outside of
// brackets.
func (l *lexer) tag(end string, endKind tokenKind) error {
	var open []byte
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		if len(open) == 0 {
			if strings.HasPrefix(rest, end) {
				l.emit(endKind, "")
				l.closeTag(2, 0, endKind == tokBlockEnd)
				return nil
			}
			if len(rest) > 2 && rest[1:3] == end && (rest[0] == '-' || rest[0] == '+' && endKind == tokBlockEnd) {
				l.emit(endKind, "")
				l.closeTag(3, rest[0], endKind == tokBlockEnd)
				return nil
			}
		}
		var err error
		if open, err = l.inTag(rest, open); err != nil {
			return err
		}
	}
	return fmt.Errorf("tag without closing %s", end)
}

// inTag reads one token inside a tag and keeps the stack of open brackets.
func (l *lexer) inTag(rest string, open []byte) ([]byte, error) {
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case unicode.IsSpace(r):
		l.advance(size)
	case r == '"' || r == '\'':
		return open, l.stringToken(rest)
	case r >= '0' && r <= '9':
		l.number(rest)
	case r == '_' || unicode.IsLetter(r):
		n := len(rest) - len(strings.TrimLeftFunc(rest, isIdentRune))
		l.emit(tokName, rest[:n])
		l.advance(n)
	default:
		return l.operator(rest, open)
	}
	return open, nil
}

func isIdentRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

func (l *lexer) number(rest string) {
	afterDot := l.src[l.pos-1] == '.' // x.0 is an item, not a float
	if f := floatForm.FindString(rest); f != "" && !afterDot {
		l.emit(tokFloat, strings.ReplaceAll(f, "_", ""))
		l.advance(len(f))
		return
	}
	i := intForm.FindString(rest)
	l.emit(tokInt, strings.ReplaceAll(i, "_", ""))
	l.advance(len(i))
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}'}

func (l *lexer) operator(rest string, open []byte) ([]byte, error) {
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		switch op {
		case "(", "[", "{":
			open = append(open, closing[op[0]])
		case ")", "]", "}":
			if len(open) == 0 || open[len(open)-1] != op[0] {
				return nil, fmt.Errorf("unexpected %q", op)
			}
			open = open[:len(open)-1]
		}
		l.emit(tokOp, op)
		l.advance(len(op))
		return open, nil
	}
	return nil, fmt.Errorf("unexpected character %q", rest[:min(len(rest), 8)])
}

func (l *lexer) stringToken(rest string) error {
	q := rest[0]
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case q:
			l.emit(tokString, unescape(rest[1:i]))
			l.advance(i + 1)
			return nil
		}
	}
	return fmt.Errorf("string without closing quote")
}

var simpleEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", '\\': `\`, '\'': "'", '"': `"`,
	'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\n': "",
}

// unescape decodes the escapes of a Python string literal; an unknown one
// stays as written.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if text, ok := simpleEscapes[s[i]]; ok {
			b.WriteString(text)
			continue
		}
		if r, n := numericEscape(s[i:]); n > 0 {
			b.WriteRune(r)
			i += n - 1
			continue
		}
		b.WriteByte('\\')
		b.WriteByte(s[i])
	}
	return b.String()
}

// numericEscape reads xNN, uNNNN, UNNNNNNNN or up to three octal digits.
func numericEscape(s string) (r rune, n int) {
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	if digits > 0 {
		if len(s) < 1+digits {
			return 0, 0
		}
		v, err := strconv.ParseUint(s[1:1+digits], 16, 32)
		if err != nil || v > unicode.MaxRune {
			return 0, 0
		}
		return rune(v), 1 + digits
	}
	for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
		r = r*8 + rune(s[n]-'0')
		n++
	}
	return r, n
}
