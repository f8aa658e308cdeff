package jinja

import (
	"fmt"
	"strconv"
	"strings"
)

// tupleOrExpr parses an expression or a bare tuple "a, b". Without ternary a
// trailing "if" is left alone: it filters a loop.
func (p *parser) tupleOrExpr(ternary bool) (expr, error) {
	one := p.or
	if ternary {
		one = p.expr
	}
	first, err := one()
	if err != nil || !p.peek().isOp(",") {
		return first, err
	}
	items := []expr{first}
	for p.acceptOp(",") {
		if k := p.peek(); k.kind == tokVarEnd || k.kind == tokBlockEnd || k.isOp(")") {
			break
		}
		item, err := one()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return tupleExpr(items), nil
}

func (p *parser) expr() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	value, err := p.or()
	for err == nil && p.acceptName("if") {
		t := ternaryExpr{yes: value}
		if t.cond, err = p.or(); err != nil {
			return nil, err
		}
		if p.acceptName("else") {
			if t.no, err = p.expr(); err != nil {
				return nil, err
			}
		}
		value = t
	}
	return value, err
}

func (p *parser) or() (expr, error) {
	left, err := p.and()
	for err == nil && p.acceptName("or") {
		var right expr
		if right, err = p.and(); err == nil {
			left = orExpr{left, right}
		}
	}
	return left, err
}

func (p *parser) and() (expr, error) {
	left, err := p.not()
	for err == nil && p.acceptName("and") {
		var right expr
		if right, err = p.not(); err == nil {
			left = andExpr{left, right}
		}
	}
	return left, err
}

func (p *parser) not() (expr, error) {
	if !p.acceptName("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	e, err := p.not()
	return notExpr{e}, err
}

// compare parses a chain such as a < b <= c, which holds when each link does.
func (p *parser) compare() (expr, error) {
	first, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	chain := compareExpr{first: first}
	for {
		op := p.compareOp()
		if op == "" {
			break
		}
		right, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		chain.ops = append(chain.ops, op)
		chain.rest = append(chain.rest, right)
	}
	if len(chain.ops) == 0 {
		return first, nil
	}
	return chain, nil
}

func (p *parser) compareOp() string {
	t := p.peek()
	switch {
	case t.isOp("==", "!=", "<", "<=", ">", ">="), t.isName("in"):
		p.pos++
		return t.text
	case t.isName("not") && p.tokens[p.pos+1].isName("in"):
		p.pos += 2
		return "not in"
	}
	return ""
}

// binaryLevels are the arithmetic operators, loosest first.
var binaryLevels = [][]string{{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}}

func (p *parser) binary(level int) (expr, error) {
	if level == len(binaryLevels) {
		return p.unary(true)
	}
	left, err := p.binary(level + 1)
	for err == nil && p.peek().isOp(binaryLevels[level]...) {
		op := p.next().text
		var right expr
		if right, err = p.binary(level + 1); err == nil {
			left = binaryExpr{op, left, right}
		}
	}
	return left, err
}

func (p *parser) unary(filters bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var e expr
	var err error
	switch {
	case p.acceptOp("-"):
		e, err = p.unary(false)
		e = negateExpr{e}
	case p.acceptOp("+"):
		e, err = p.unary(false)
	default:
		e, err = p.primary()
	}
	if err != nil {
		return nil, err
	}
	if e, err = p.postfix(e); err != nil || !filters {
		return e, err
	}
	return p.filtersAndTests(e)
}

func (p *parser) primary() (expr, error) {
	t := p.next()
	switch t.kind {
	case tokName:
		return nameOrConst(t.text), nil
	case tokString:
		var b strings.Builder
		b.WriteString(t.text)
		for p.peek().kind == tokString { // adjacent literals join
			b.WriteString(p.next().text)
		}
		return constExpr{b.String()}, nil
	case tokInt:
		return constExpr{decodeNumber(t.text)}, nil
	case tokFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		return constExpr{f}, err
	}
	switch {
	case t.isOp("("):
		return p.parenthesis()
	case t.isOp("["):
		items, err := p.items("]")
		return listExpr(items), err
	case t.isOp("{"):
		return p.dict()
	}
	return nil, fmt.Errorf("unexpected %s", t)
}

func nameOrConst(name string) expr {
	switch name {
	case "true", "True":
		return constExpr{true}
	case "false", "False":
		return constExpr{false}
	case "none", "None":
		return constExpr{nil}
	}
	return nameExpr(name)
}

func (p *parser) parenthesis() (expr, error) {
	if p.acceptOp(")") {
		return tupleExpr(nil), nil
	}
	e, err := p.tupleOrExpr(true)
	if err != nil {
		return nil, err
	}
	return e, p.expectOp(")")
}

func (p *parser) items(end string) ([]expr, error) {
	var items []expr
	for !p.acceptOp(end) {
		if len(items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.acceptOp(end) {
				break
			}
		}
		item, err := p.expr()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (p *parser) dict() (expr, error) {
	var d dictExpr
	for !p.acceptOp("}") {
		if len(d.keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.acceptOp("}") {
				break
			}
		}
		key, err := p.expr()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp(":"); err != nil {
			return nil, err
		}
		value, err := p.expr()
		if err != nil {
			return nil, err
		}
		d.keys = append(d.keys, key)
		d.values = append(d.values, value)
	}
	return d, nil
}

// postfix parses attributes, items, slices and calls.
func (p *parser) postfix(e expr) (expr, error) {
	var err error
	for err == nil {
		switch {
		case p.acceptOp("."):
			e, err = p.attribute(e)
		case p.acceptOp("["):
			e, err = p.subscript(e)
		case p.acceptOp("("):
			e, err = p.call(e)
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *parser) attribute(e expr) (expr, error) {
	t := p.next()
	switch t.kind {
	case tokName:
		return attrExpr{e, t.text}, nil
	case tokInt:
		return itemExpr{e, constExpr{decodeNumber(t.text)}}, nil
	}
	return nil, fmt.Errorf("expected a name after the dot, found %s", t)
}

func (p *parser) subscript(e expr) (expr, error) {
	s := sliceExpr{of: e}
	parts := []*expr{&s.start, &s.stop, &s.step}
	colons := 0
	for !p.acceptOp("]") {
		if p.acceptOp(":") {
			if colons++; colons > 2 {
				return nil, fmt.Errorf("slice with more than two colons")
			}
			continue
		}
		if *parts[colons] != nil {
			return nil, fmt.Errorf("unexpected %s in a subscript", p.peek())
		}
		part, err := p.tupleOrExpr(true)
		if err != nil {
			return nil, err
		}
		*parts[colons] = part
	}
	if colons > 0 {
		return s, nil
	}
	if s.start == nil {
		return nil, fmt.Errorf("empty subscript")
	}
	return itemExpr{e, s.start}, nil
}

func (p *parser) call(e expr) (expr, error) {
	args, err := p.arguments()
	return callExpr{e, args}, err
}

// arguments parses up to the closing parenthesis.
func (p *parser) arguments() (argList, error) {
	var a argList
	for first := true; !p.acceptOp(")"); first = false {
		if !first {
			if err := p.expectOp(","); err != nil {
				return a, err
			}
			if p.acceptOp(")") {
				break
			}
		}
		if p.peek().kind == tokName && p.tokens[p.pos+1].isOp("=") {
			name := p.next().text
			p.pos++
			value, err := p.expr()
			if err != nil {
				return a, err
			}
			a.names = append(a.names, name)
			a.named = append(a.named, value)
			continue
		}
		if len(a.named) > 0 {
			return a, fmt.Errorf("positional argument after a named one")
		}
		value, err := p.expr()
		if err != nil {
			return a, err
		}
		a.positional = append(a.positional, value)
	}
	return a, nil
}

// filtersAndTests parses "| filter", "is test" and calls of their results.
func (p *parser) filtersAndTests(e expr) (expr, error) {
	var err error
	for err == nil {
		switch {
		case p.peek().isOp("|"):
			e, err = p.filter(e)
		case p.acceptName("is"):
			e, err = p.test(e)
		case p.acceptOp("("):
			e, err = p.call(e)
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *parser) filter(e expr) (expr, error) {
	if err := p.expectOp("|"); err != nil {
		return nil, err
	}
	return p.namedFilter(e)
}

func (p *parser) namedFilter(e expr) (expr, error) {
	name, err := p.expectName()
	if err != nil {
		return nil, err
	}
	f := filterExpr{of: e, name: name}
	if p.acceptOp("(") {
		f.args, err = p.arguments()
	}
	return f, err
}

func (p *parser) test(e expr) (expr, error) {
	negated := p.acceptName("not")
	name, err := p.expectName()
	if err != nil {
		return nil, err
	}
	t := testExpr{of: e, name: name}
	if p.acceptOp("(") {
		t.args, err = p.arguments()
	} else if p.startsTestArgument() {
		var arg expr
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg)
		}
		t.args.positional = []expr{arg}
	}
	if err != nil {
		return nil, err
	}
	if negated {
		return notExpr{t}, nil
	}
	return t, nil
}

// startsTestArgument reports whether the next token is an argument without
// parentheses, as in "x is divisibleby 3".
func (p *parser) startsTestArgument() bool {
	t := p.peek()
	switch t.kind {
	case tokString, tokInt, tokFloat:
		return true
	case tokName:
		return !t.isName("else", "or", "and", "is", "if", "in", "not")
	}
	return t.isOp("[", "{")
}
