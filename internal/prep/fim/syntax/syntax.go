package syntax

import "errors"

// Kinds of node.
const (
	Statement   = "statement"   // one statement
	Block       = "block"       // a block: with its braces, or as indented lines
	Function    = "function"    // the block that is a function's body
	Declaration = "declaration" // a whole function, method, class or type
	Arguments   = "arguments"   // what a function is called with, parentheses included
	Expression  = "expression"  // a call, an operation, a literal of several parts
)

// Kinds are all kinds of node, sorted.
var Kinds = []string{Arguments, Block, Declaration, Expression, Function, Statement}

// Node is src[Start:End] of a file.
type Node struct {
	Start, End int
	Kind       string
}

// Tree is the syntax tree of one file.
type Tree interface {
	// Around lists the nodes that contain the byte at offset, outermost first.
	// Nodes with syntax errors inside are not among them.
	Around(offset int) []Node
	// Close frees the tree. It may be called again.
	Close()
}

// Errors of Parse.
var (
	ErrNoGrammar = errors.New("no grammar for the language in this build")
	ErrSyntax    = errors.New("does not parse")
)

// Known tells whether this build can parse lang, which is linguist's name of
// it in lower case, such as "go" or "c++".
func Known(lang string) bool { return lang == "go" || hasGrammar(lang) }

// Parse reads a file. It fails with ErrNoGrammar for languages that are not
// Known, and with ErrSyntax where a file has too many errors for a tree.
func Parse(lang string, src []byte) (Tree, error) {
	if lang == "go" {
		return parseGo(src)
	}
	return parseGrammar(lang, src)
}
