package recipe

import (
	"fmt"
	"go/scanner"
	"go/token"
	"slices"
	"strings"
)

// Prompt is the beginning of a held-out file, to be continued by a model.
type Prompt struct {
	Path   string
	Prefix string // from the start of the file to the end of a line
}

// minPrefix is the shortest prefix, in bytes: past the licence header, so that
// there is something to go on.
const minPrefix = 800

// Prompts cuts n prefixes from the held-out files, at line ends that lie outside
// comments and raw strings. Files take turns; the same files and n always give
// the same prompts.
func Prompts(files []File, n int) []Prompt {
	held := slices.DeleteFunc(slices.Clone(files), func(f File) bool { return !f.HeldOut || len(f.Text) < 2*minPrefix })
	slices.SortFunc(held, func(a, b File) int {
		if hash("prompt", a.Path) < hash("prompt", b.Path) {
			return -1
		}
		return 1
	})
	var prompts []Prompt
	for turn := 0; len(prompts) < n && turn < 10*n && len(held) > 0; turn++ {
		f := held[turn%len(held)]
		span := uint64(len(f.Text) - minPrefix)
		at := minPrefix + int(hash(fmt.Sprint("cut ", turn), f.Path)%span)
		prefix := f.Text[:lineAfter(f.Text, at)]
		if Accepts(prefix, "") == nil {
			prompts = append(prompts, Prompt{f.Path, prefix})
		}
	}
	return prompts
}

// Accepts scans prefix and completion as one file with go/scanner and returns the
// first error: a character or number that Go does not have, an unknown escape, a
// string, rune or comment that does not end. The completion counts up to its last
// whole line; what follows was cut by the length limit, not by the model. A raw
// string or comment that is still open there counts as an error.
func Accepts(prefix, completion string) error {
	whole := completion[:strings.LastIndex(completion, "\n")+1]
	src := []byte(prefix + whole)
	var first error
	report := func(pos token.Position, msg string) {
		if first == nil {
			first = fmt.Errorf("line %d: %s", pos.Line, msg)
		}
	}
	fset := token.NewFileSet()
	var s scanner.Scanner
	s.Init(fset.AddFile("", fset.Base(), len(src)), src, report, scanner.ScanComments)
	for {
		if _, tok, _ := s.Scan(); tok == token.EOF {
			return first
		}
	}
}
