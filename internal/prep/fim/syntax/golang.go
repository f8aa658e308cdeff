package syntax

import (
	"go/ast"
	"go/parser"
	"go/token"
	"sort"
)

// goTree holds the nodes of a Go file in the order of their start, each before
// those inside it.
type goTree struct {
	nodes  []Node
	parent []int // of each node, -1 for none
}

func parseGo(src []byte) (Tree, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", src, parser.SkipObjectResolution)
	if err != nil {
		return nil, ErrSyntax
	}
	c := collector{base: files.File(file.FileStart).Base(), bodies: map[*ast.BlockStmt]bool{}}
	ast.Inspect(file, c.visit)
	t := &goTree{nodes: c.nodes}
	sort.SliceStable(t.nodes, func(i, j int) bool {
		a, b := t.nodes[i], t.nodes[j]
		return a.Start < b.Start || a.Start == b.Start && a.End > b.End
	})
	t.link()
	return t, nil
}

// link finds the innermost node around each.
func (t *goTree) link() {
	t.parent = make([]int, len(t.nodes))
	open := -1
	for i, n := range t.nodes {
		for open >= 0 && t.nodes[open].End < n.End {
			open = t.parent[open]
		}
		t.parent[i] = open
		open = i
	}
}

func (t *goTree) Around(offset int) []Node {
	last := sort.Search(len(t.nodes), func(i int) bool { return t.nodes[i].Start > offset }) - 1
	var inner []Node
	for i := last; i >= 0; i = t.parent[i] {
		if offset < t.nodes[i].End {
			inner = append(inner, t.nodes[i])
		}
	}
	for i, j := 0, len(inner)-1; i < j; i, j = i+1, j-1 {
		inner[i], inner[j] = inner[j], inner[i]
	}
	return inner
}

func (*goTree) Close() {}

type collector struct {
	base   int
	nodes  []Node
	bodies map[*ast.BlockStmt]bool // of functions
}

func (c *collector) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		c.bodies[n.Body] = true
		c.add(n, Declaration)
	case *ast.FuncLit:
		c.bodies[n.Body] = true
		c.add(n, Expression)
	case *ast.GenDecl:
		if n.Tok != token.IMPORT {
			c.add(n, Declaration)
		}
	case *ast.BlockStmt:
		kind := Block
		if c.bodies[n] {
			kind = Function
		}
		c.add(n, kind)
	case *ast.CaseClause, *ast.CommClause, *ast.LabeledStmt, *ast.EmptyStmt, *ast.DeclStmt:
		// parts of statements; what is in them follows
	case ast.Stmt:
		c.add(n, Statement)
	case *ast.CallExpr, *ast.BinaryExpr, *ast.CompositeLit:
		c.add(n, Expression)
	}
	return true
}

func (c *collector) add(n ast.Node, kind string) {
	start, end := int(n.Pos())-c.base, int(n.End())-c.base
	if end > start {
		c.nodes = append(c.nodes, Node{start, end, kind})
	}
}
