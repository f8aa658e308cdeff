// Package syntax finds the nodes of a syntax tree that a completion can be
// trained on: statements, blocks, bodies of functions, declarations, argument
// lists and expressions.
//
// Go is parsed by go/parser, in every build. Other languages are parsed by
// tree-sitter, whose grammars are C: a build without CGo has none of them, and
// Known says so.
package syntax
