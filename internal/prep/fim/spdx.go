package fim

import "strings"

// allowed tells whether the SPDX expression is satisfied by the identifiers of
// the list, which are compared without regard to case. "A OR B" needs one of
// the two, "A AND B" both; an exception after WITH only adds permissions. What
// cannot be read is not allowed.
func allowed(expression string, list []string) bool {
	p := spdxParser{tokens: spdxTokens(expression), allowed: map[string]bool{}}
	for _, id := range list {
		p.allowed[strings.ToLower(strings.TrimSpace(id))] = true
	}
	ok, valid := p.or(0)
	return valid && p.at == len(p.tokens) && ok
}

func spdxTokens(expression string) []string {
	return strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expression))
}

type spdxParser struct {
	tokens  []string
	at      int
	allowed map[string]bool
}

// maxSPDX bounds how deep parentheses may nest.
const maxSPDX = 32

func (p *spdxParser) take(word string) bool {
	if p.at < len(p.tokens) && strings.EqualFold(p.tokens[p.at], word) {
		p.at++
		return true
	}
	return false
}

func (p *spdxParser) or(depth int) (ok, valid bool) {
	ok, valid = p.and(depth)
	for valid && p.take("OR") {
		var right bool
		right, valid = p.and(depth)
		ok = ok || right
	}
	return ok, valid
}

func (p *spdxParser) and(depth int) (ok, valid bool) {
	ok, valid = p.term(depth)
	for valid && p.take("AND") {
		var right bool
		right, valid = p.term(depth)
		ok = ok && right
	}
	return ok, valid
}

func (p *spdxParser) term(depth int) (ok, valid bool) {
	if depth > maxSPDX || p.at == len(p.tokens) {
		return false, false
	}
	if p.take("(") {
		ok, valid = p.or(depth + 1)
		return ok, valid && p.take(")")
	}
	id := strings.ToLower(p.tokens[p.at])
	p.at++
	switch id {
	case ")", "and", "or", "with":
		return false, false
	}
	if p.take("WITH") {
		if p.at == len(p.tokens) {
			return false, false
		}
		p.at++
	}
	return p.allowed[id], true
}
