//go:build cgo

package syntax

import (
	"sync"

	sitter "github.com/tree-sitter/go-tree-sitter"
)

func hasGrammar(lang string) bool {
	_, ok := grammars[lang]
	return ok
}

// table is a language as tree-sitter loads it and what its nodes are, by the
// number of their kind.
type table struct {
	language *sitter.Language
	kinds    []string
	function []bool // kinds whose block is a function's body
}

// tables holds what was loaded, by language.
var tables sync.Map

func load(lang string) (*table, bool) {
	if t, ok := tables.Load(lang); ok {
		return t.(*table), true
	}
	g, ok := grammars[lang]
	if !ok {
		return nil, false
	}
	t := &table{language: sitter.NewLanguage(g.pointer())}
	n := t.language.NodeKindCount()
	t.kinds, t.function = make([]string, n), make([]bool, n)
	for id := range n {
		if name := t.language.NodeKindForId(uint16(id)); t.language.NodeKindIsNamed(uint16(id)) {
			t.kinds[id] = g.kinds[name]
			t.function[id] = g.functions[name]
		}
	}
	kept, _ := tables.LoadOrStore(lang, t)
	return kept.(*table), true
}

// grammarTree is a tree of tree-sitter. It is for one goroutine.
type grammarTree struct {
	*table
	tree *sitter.Tree
}

func parseGrammar(lang string, src []byte) (Tree, error) {
	t, ok := load(lang)
	if !ok {
		return nil, ErrNoGrammar
	}
	parser := sitter.NewParser()
	defer parser.Close()
	if err := parser.SetLanguage(t.language); err != nil {
		return nil, ErrNoGrammar
	}
	tree := parser.Parse(src, nil)
	if tree == nil {
		return nil, ErrSyntax
	}
	if tree.RootNode().IsError() {
		tree.Close()
		return nil, ErrSyntax
	}
	return &grammarTree{t, tree}, nil
}

// Around walks from the root to the leaf at offset.
func (t *grammarTree) Around(offset int) []Node {
	if t.tree == nil {
		return nil
	}
	at := uint(offset)
	var found []Node
	inFunction := false
	for n := t.tree.RootNode(); ; {
		child := n.FirstNamedChildForByte(at)
		if child == nil || child.StartByte() > at || child.IsError() {
			return found
		}
		id := child.KindId()
		if int(id) < len(t.kinds) && t.kinds[id] != "" && !child.HasError() {
			kind := t.kinds[id]
			if kind == Block && inFunction {
				kind = Function
			}
			found = append(found, Node{int(child.StartByte()), int(child.EndByte()), kind})
		}
		inFunction = int(id) < len(t.function) && t.function[id]
		n = child
	}
}

func (t *grammarTree) Close() {
	if t.tree != nil {
		t.tree.Close()
		t.tree = nil
	}
}
