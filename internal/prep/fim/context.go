package fim

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/qlora/qlora/internal/dataset"
)

// Bounds on what is shown before a file.
const (
	maxContext   = 6  // files
	minContext   = 64 // bytes of a file worth showing
	minLeak      = 32 // bytes of a middle that must not stand in the context
	contextExtra = 16 // bytes that a file's separators take
)

// library shows files of a repository before others.
type library struct {
	*index
	o    Options
	deps []dependencies // of each file
}

// dependencies are resolved when they are first needed.
type dependencies struct {
	once       sync.Once
	list       []int
	twice      sync.Once
	candidates []int
}

func newLibrary(files []*file, o Options) *library {
	x := newIndex(files)
	return &library{index: x, o: o, deps: make([]dependencies, len(x.files))}
}

// shown is a file that was chosen, or the start of it.
type shown struct {
	file    int
	content []byte
}

// around chooses what to show before a window of f whose middle is given, in
// at most room bytes: what f imports, then its neighbours; ordered so that
// what a file depends on comes before it, and the nearest last. Versions of f,
// and files that hold the middle, are never shown.
func (b *library) around(ctx context.Context, f *file, middle []byte, room int) ([]dataset.ContextFile, error) {
	self := b.byPath[f.path]
	leak := bytes.TrimSpace(middle)
	share := room / 2 // of one file
	var chosen []shown
	used := map[int]bool{self: true}
	for _, i := range b.candidates(self) {
		if used[i] || len(chosen) == maxContext || room < minContext {
			continue
		}
		used[i] = true
		g := b.files[i]
		if g.hash == f.hash || f.sketch.similarity(g.sketch) >= nearDuplicate {
			continue
		}
		text, err := g.load(ctx, b.o)
		if err != nil {
			return nil, err
		}
		if len(leak) >= minLeak && bytes.Contains(text, leak) {
			continue
		}
		content := head(text, min(room, share)-len(g.path)-contextExtra)
		if len(content) < minContext {
			continue
		}
		room -= len(content) + len(g.path) + contextExtra
		chosen = append(chosen, shown{i, content})
	}
	return b.ordered(chosen), nil
}

// candidates are what may be shown before a file, the nearest first.
func (b *library) candidates(i int) []int {
	d := &b.deps[i]
	d.twice.Do(func() { d.candidates = slices.Concat(b.dependencies(i), b.neighbours(b.files[i])) })
	return d.candidates
}

// head is the start of a file in whole lines, at most limit bytes.
func head(text []byte, limit int) []byte {
	if limit <= 0 {
		return nil
	}
	if len(text) <= limit {
		return text
	}
	return text[:bytes.LastIndexByte(text[:limit], '\n')+1]
}

func (b *library) dependencies(i int) []int {
	d := &b.deps[i]
	d.once.Do(func() { d.list = b.imported(b.files[i]) })
	return d.list
}

// ordered places what has the fewest dependencies that are still to be placed
// first; of equals, the one chosen last, which is the least near.
func (b *library) ordered(chosen []shown) []dataset.ContextFile {
	var out []dataset.ContextFile
	left := map[int]bool{}
	for _, s := range chosen {
		left[s.file] = true
	}
	for len(left) > 0 {
		next, fewest := shown{file: -1}, 0
		for _, s := range chosen {
			if !left[s.file] {
				continue
			}
			open := 0
			for _, d := range b.dependencies(s.file) {
				if left[d] && d != s.file {
					open++
				}
			}
			if next.file < 0 || open <= fewest {
				next, fewest = s, open
			}
		}
		delete(left, next.file)
		out = append(out, dataset.ContextFile{Path: b.files[next.file].path, Content: string(next.content)})
	}
	return out
}
