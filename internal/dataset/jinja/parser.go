package jinja

import (
	"fmt"
	"slices"
)

// maxNesting bounds the depth of expressions and blocks, so that a hostile
// template cannot exhaust the stack.
const maxNesting = 200

// parser builds the tree of a template by recursive descent. Precedence and
// the places where a ternary or a tuple may stand follow Jinja 2.
type parser struct {
	tokens []token
	pos    int
	depth  int
}

func parse(tokens []token) ([]node, error) {
	p := &parser{tokens: tokens}
	body, _, err := p.body()
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", p.peek().line, err)
	}
	return body, nil
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (t token) isOp(ops ...string) bool {
	return t.kind == tokOp && slices.Contains(ops, t.text)
}

func (t token) isName(names ...string) bool {
	return t.kind == tokName && slices.Contains(names, t.text)
}

func (p *parser) acceptOp(op string) bool {
	if p.peek().isOp(op) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) acceptName(name string) bool {
	if p.peek().isName(name) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expectOp(op string) error {
	if !p.acceptOp(op) {
		return fmt.Errorf("expected %q, found %s", op, p.peek())
	}
	return nil
}

func (p *parser) expectName() (string, error) {
	t := p.next()
	if t.kind != tokName {
		return "", fmt.Errorf("expected a name, found %s", t)
	}
	return t.text, nil
}

func (p *parser) endBlock() error {
	if t := p.next(); t.kind != tokBlockEnd {
		return fmt.Errorf("expected the end of the tag, found %s", t)
	}
	return nil
}

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the template"
	case tokVarEnd:
		return "}}"
	case tokBlockEnd:
		return "%}"
	}
	return fmt.Sprintf("%q", t.text)
}

// enter counts one level of nesting; the caller defers leave.
func (p *parser) enter() error {
	p.depth++
	if p.depth > maxNesting {
		return fmt.Errorf("nested deeper than %d", maxNesting)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// body parses nodes up to the end of the template or to a tag in ends, whose
// name it consumes and returns.
func (p *parser) body(ends ...string) ([]node, string, error) {
	if err := p.enter(); err != nil {
		return nil, "", err
	}
	defer p.leave()
	var nodes []node
	for {
		t := p.next()
		switch t.kind {
		case tokEOF:
			if len(ends) > 0 {
				return nil, "", fmt.Errorf("missing %s", ends[len(ends)-1])
			}
			return nodes, "", nil
		case tokData:
			nodes = append(nodes, dataNode(t.text))
		case tokVarBegin:
			e, err := p.tupleOrExpr(true)
			if err != nil {
				return nil, "", err
			}
			if end := p.next(); end.kind != tokVarEnd {
				return nil, "", fmt.Errorf("expected }}, found %s", end)
			}
			nodes = append(nodes, outputNode{e, t.line})
		case tokBlockBegin:
			name, err := p.expectName()
			if err != nil {
				return nil, "", err
			}
			if slices.Contains(ends, name) {
				return nodes, name, nil
			}
			n, err := p.statement(name)
			if err != nil {
				return nil, "", err
			}
			nodes = append(nodes, lineNode{n, t.line})
		}
	}
}

func (p *parser) statement(name string) (node, error) {
	switch name {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement()
	case "set":
		return p.setStatement()
	case "macro":
		return p.macroStatement()
	case "with":
		return p.withStatement()
	case "filter":
		return p.filterStatement()
	case "generation":
		return p.generationStatement()
	case "break":
		return breakNode{}, p.endBlock()
	case "continue":
		return continueNode{}, p.endBlock()
	}
	return nil, fmt.Errorf("tag %q is not supported in a chat template", name)
}

// block parses the rest of an opening tag and its body up to end.
func (p *parser) block(end string) ([]node, error) {
	if err := p.endBlock(); err != nil {
		return nil, err
	}
	body, _, err := p.body(end)
	if err != nil {
		return nil, err
	}
	return body, p.endBlock()
}

func (p *parser) ifStatement() (node, error) {
	var n ifNode
	for {
		cond, err := p.tupleOrExpr(true)
		if err != nil {
			return nil, err
		}
		if err := p.endBlock(); err != nil {
			return nil, err
		}
		body, end, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		n.conds = append(n.conds, cond)
		n.bodies = append(n.bodies, body)
		switch end {
		case "else":
			n.otherwise, err = p.block("endif")
			return n, err
		case "endif":
			return n, p.endBlock()
		}
	}
}

func (p *parser) forStatement() (node, error) {
	var n forNode
	var err error
	if n.target, err = p.target(); err != nil {
		return nil, err
	}
	if !p.acceptName("in") {
		return nil, fmt.Errorf("expected \"in\", found %s", p.peek())
	}
	if n.iter, err = p.tupleOrExpr(false); err != nil {
		return nil, err
	}
	if p.acceptName("if") {
		if n.cond, err = p.expr(); err != nil {
			return nil, err
		}
	}
	if p.peek().isName("recursive") {
		return nil, fmt.Errorf("recursive loops are not supported in a chat template")
	}
	if err := p.endBlock(); err != nil {
		return nil, err
	}
	body, end, err := p.body("else", "endfor")
	if err != nil {
		return nil, err
	}
	n.body = body
	if end == "else" {
		n.otherwise, err = p.block("endfor")
		return n, err
	}
	return n, p.endBlock()
}

// target parses what a loop or set binds: a name, ns.attr or a list of names.
func (p *parser) target() (target, error) {
	paren := p.acceptOp("(")
	var t target
	for {
		name, err := p.expectName()
		if err != nil {
			return t, err
		}
		t.names = append(t.names, name)
		if len(t.names) == 1 && p.acceptOp(".") {
			t.attr, err = p.expectName()
			return t, err
		}
		if !p.acceptOp(",") {
			break
		}
		t.unpack = true
		if p.peek().kind != tokName || p.peek().isName("in") {
			break
		}
	}
	if paren {
		return t, p.expectOp(")")
	}
	return t, nil
}

func (p *parser) setStatement() (node, error) {
	t, err := p.target()
	if err != nil {
		return nil, err
	}
	if p.acceptOp("=") {
		value, err := p.tupleOrExpr(true)
		if err != nil {
			return nil, err
		}
		return setNode{t, value}, p.endBlock()
	}
	var filters expr = captured{}
	for p.peek().isOp("|") {
		if filters, err = p.filter(filters); err != nil {
			return nil, err
		}
	}
	body, err := p.block("endset")
	return setBlockNode{t, filters, body}, err
}

func (p *parser) macroStatement() (node, error) {
	name, err := p.expectName()
	if err != nil {
		return nil, err
	}
	n := macroNode{name: name}
	if err := p.expectOp("("); err != nil {
		return nil, err
	}
	for !p.acceptOp(")") {
		if len(n.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		param, err := p.expectName()
		if err != nil {
			return nil, err
		}
		var value expr
		if p.acceptOp("=") {
			if value, err = p.expr(); err != nil {
				return nil, err
			}
		}
		n.params = append(n.params, param)
		n.defaults = append(n.defaults, value)
	}
	n.body, err = p.block("endmacro")
	return n, err
}

func (p *parser) withStatement() (node, error) {
	var n withNode
	for p.peek().kind != tokBlockEnd {
		if len(n.names) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		name, err := p.expectName()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		value, err := p.expr()
		if err != nil {
			return nil, err
		}
		n.names = append(n.names, name)
		n.values = append(n.values, value)
	}
	var err error
	n.body, err = p.block("endwith")
	return n, err
}

func (p *parser) filterStatement() (node, error) {
	filters, err := p.namedFilter(captured{})
	if err != nil {
		return nil, err
	}
	for p.peek().isOp("|") {
		if filters, err = p.filter(filters); err != nil {
			return nil, err
		}
	}
	body, err := p.block("endfilter")
	return filterNode{filters, body}, err
}

// generationStatement parses the tag with which templates mark assistant
// text. Loss masks do not rest on it, so it only renders its body.
func (p *parser) generationStatement() (node, error) {
	body, err := p.block("endgeneration")
	return groupNode(body), err
}
