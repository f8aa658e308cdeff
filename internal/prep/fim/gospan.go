package fim

import (
	"go/ast"
	"go/parser"
	"go/token"
)

// goSpans lists the statements, blocks and function bodies of Go source, or
// nothing when it does not parse.
func goSpans(src []byte) map[string][]span {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", src, parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	c := collector{base: files.File(file.FileStart).Base(), spans: map[string][]span{}}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			c.inside(n.Body, KindFunction)
		case *ast.FuncLit:
			c.inside(n.Body, KindBlock)
		case *ast.BlockStmt:
			c.statements(n.List)
		case *ast.CaseClause:
			c.statements(n.Body)
		case *ast.CommClause:
			c.statements(n.Body)
		case *ast.IfStmt:
			c.inside(n.Body, KindBlock)
		case *ast.ForStmt:
			c.inside(n.Body, KindBlock)
		case *ast.RangeStmt:
			c.inside(n.Body, KindBlock)
		case *ast.SwitchStmt:
			c.inside(n.Body, KindBlock)
		case *ast.TypeSwitchStmt:
			c.inside(n.Body, KindBlock)
		case *ast.SelectStmt:
			c.inside(n.Body, KindBlock)
		}
		return true
	})
	return c.spans
}

type collector struct {
	base  int
	spans map[string][]span
}

func (c *collector) add(from, to token.Pos, kind string) {
	s := span{int(from) - c.base, int(to) - c.base, kind}
	if s.end > s.start {
		c.spans[kind] = append(c.spans[kind], s)
	}
}

// inside adds what stands between the braces of a block.
func (c *collector) inside(b *ast.BlockStmt, kind string) {
	if b != nil && b.Rbrace.IsValid() && len(b.List) > 0 {
		c.add(b.Lbrace+1, b.Rbrace, kind)
	}
}

func (c *collector) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s.(type) {
		case *ast.CaseClause, *ast.CommClause: // a part of a switch, its statements follow
		default:
			c.add(s.Pos(), s.End(), KindStatement)
		}
	}
}
