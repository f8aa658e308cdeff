package cli

import (
	"fmt"
	"os"
	"slices"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/ui"
)

// checkPipes refuses pipes of which data would be read again after they are
// gone: all where every file is read several times, else one named twice.
func checkPipes(paths []string, times int) error {
	for i, path := range paths {
		if !dataset.IsPipe(path) {
			continue
		}
		again := slices.ContainsFunc(paths[:i], func(other string) bool { return samePlace(path, other) })
		if times > 1 || again {
			return ui.Fail(ui.ExitInvalid, fmt.Errorf("%s is a pipe, which can be read once, and would be read again", path),
				"write its data to a file first, and name that")
		}
	}
	return nil
}

func samePlace(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// pathsOf are the files of sources.
func pathsOf(sources []dataset.Source) (paths []string) {
	for _, s := range sources {
		paths = append(paths, s.Path)
	}
	return paths
}
