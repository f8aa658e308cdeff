//go:build cgo

package fim

import (
	"errors"
	"fmt"
	"unsafe"

	sitter "github.com/tree-sitter/go-tree-sitter"
	c "github.com/tree-sitter/tree-sitter-c/bindings/go"
	cpp "github.com/tree-sitter/tree-sitter-cpp/bindings/go"
	java "github.com/tree-sitter/tree-sitter-java/bindings/go"
	javascript "github.com/tree-sitter/tree-sitter-javascript/bindings/go"
	python "github.com/tree-sitter/tree-sitter-python/bindings/go"
	rust "github.com/tree-sitter/tree-sitter-rust/bindings/go"
	typescript "github.com/tree-sitter/tree-sitter-typescript/bindings/go"
)

var grammarPointers = map[string]func() unsafe.Pointer{
	"c": c.Language, "c++": cpp.Language, "java": java.Language, "javascript": javascript.Language, "python": python.Language,
	"rust": rust.Language, "typescript": typescript.LanguageTypescript, "tsx": typescript.LanguageTSX,
}

// checkGrammarNode parses the file again and looks for a node that is
// src[from:to], has no error in it and lies in none.
func checkGrammarNode(lang string, src []byte, from, to int) error {
	pointer := grammarPointers[lang]
	if pointer == nil {
		return fmt.Errorf("a node in %s", lang)
	}
	parser := sitter.NewParser()
	defer parser.Close()
	if err := parser.SetLanguage(sitter.NewLanguage(pointer())); err != nil {
		return err
	}
	tree := parser.Parse(src, nil)
	defer tree.Close()
	n := tree.RootNode().NamedDescendantForByteRange(uint(from), uint(to))
	if int(n.StartByte()) != from || int(n.EndByte()) != to {
		return errors.New("not a whole node")
	}
	if n.HasError() {
		return errors.New("node with an error")
	}
	for ; n != nil; n = n.Parent() {
		if n.IsError() {
			return errors.New("node inside an error")
		}
	}
	return nil
}
