//go:build !cgo

package syntax

func hasGrammar(string) bool { return false }

func parseGrammar(string, []byte) (Tree, error) { return nil, ErrNoGrammar }
