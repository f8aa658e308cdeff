//go:build !cgo

package fim

import "fmt"

// checkGrammarNode: a build without CGo has no grammars.
func checkGrammarNode(lang string, _ []byte, _, _ int) error {
	return fmt.Errorf("a node in %s", lang)
}
