package fim

import (
	"path"
	"slices"
	"sort"
	"strings"
)

// index finds the files of a repository that can be shown with another.
type index struct {
	files  []*file          // usable ones, by path
	byPath map[string]int   // whole path
	byStem map[string][]int // name without its ending
	byDir  map[string][]int
	byName map[string][]string // folders by the last part of their path
}

func newIndex(files []*file) *index {
	x := &index{byPath: map[string]int{}, byStem: map[string][]int{}, byDir: map[string][]int{}, byName: map[string][]string{}}
	for _, f := range files {
		if f.reason != "" || f.err != nil {
			continue
		}
		i := len(x.files)
		x.files = append(x.files, f)
		x.byPath[f.path] = i
		x.byStem[stem(path.Base(f.path))] = append(x.byStem[stem(path.Base(f.path))], i)
		dir := path.Dir(f.path)
		if len(x.byDir[dir]) == 0 {
			x.byName[path.Base(dir)] = append(x.byName[path.Base(dir)], dir)
		}
		x.byDir[dir] = append(x.byDir[dir], i)
	}
	return x
}

// stem is a path without the ending of its name.
func stem(file string) string { return strings.TrimSuffix(file, path.Ext(file)) }

// imported lists the files that f imports, each once, in the order of f.
func (x *index) imported(f *file) []int {
	var list []int
	for _, w := range f.imports {
		found := []int{}
		if w.folder {
			found = x.folder(f, w.path)
		} else if i := x.resolve(f, w.path); i >= 0 {
			found = append(found, i)
		}
		for _, i := range found {
			if x.files[i] != f && !slices.Contains(list, i) {
				list = append(list, i)
			}
		}
	}
	return list
}

// maxFolder is how many files of an imported folder count.
const maxFolder = 4

// folder finds the folder that a Go import path means: the one with which it
// shares the longest end, of which either is the whole or two parts agree.
func (x *index) folder(f *file, name string) []int {
	want := strings.Split(name, "/")
	best, bestLength := "", 0
	for _, dir := range x.byName[want[len(want)-1]] {
		have := strings.Split(dir, "/")
		n := 0
		for n < len(want) && n < len(have) && want[len(want)-1-n] == have[len(have)-1-n] {
			n++
		}
		if n < 2 && n < len(have) || n < bestLength || dir == path.Dir(f.path) {
			continue
		}
		if n > bestLength || x.closer(f.path, dir, best) {
			best, bestLength = dir, n
		}
	}
	var list []int
	for _, i := range x.byDir[best] {
		if bestLength > 0 && x.files[i].lang == f.lang && !strings.HasSuffix(stem(x.files[i].path), "_test") && len(list) < maxFolder {
			list = append(list, i)
		}
	}
	return list
}

// resolve finds the file that a path means, or -1. Of several the one nearest
// to f is taken.
func (x *index) resolve(f *file, want string) int {
	anchored := strings.HasPrefix(want, "/")
	want = strings.TrimPrefix(want, "/")
	best := -1
	for _, i := range x.byStem[stem(path.Base(want))] {
		have := x.files[i].path
		if path.Ext(want) == "" {
			if importReaders[x.files[i].lang] == nil {
				continue // a page of documentation with the name of a module
			}
			have = stem(have)
		}
		if have != want && (anchored || !strings.HasSuffix(have, "/"+want)) {
			continue
		}
		if best < 0 || x.closer(f.path, x.files[i].path, x.files[best].path) {
			best = i
		}
	}
	return best
}

// closer tells whether a shares more folders with from than b does, or is
// shorter, or comes first.
func (x *index) closer(from, a, b string) bool {
	ca, cb := commonPrefix(path.Dir(from)+"/", a), commonPrefix(path.Dir(from)+"/", b)
	switch {
	case ca != cb:
		return ca > cb
	case len(a) != len(b):
		return len(a) < len(b)
	}
	return a < b
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// maxNeighbours is how many files of the same folder are looked at.
const maxNeighbours = 4

// neighbours lists the files of the same language beside f: what it tests or
// is tested by first, then those with the most similar names.
func (x *index) neighbours(f *file) []int {
	var list []int
	for _, i := range x.byDir[path.Dir(f.path)] {
		if g := x.files[i]; g != f && family(g.lang) == family(f.lang) {
			list = append(list, i)
		}
	}
	name := path.Base(f.path)
	rank := func(i int) int {
		other := path.Base(x.files[i].path)
		if subject(other) == subject(name) {
			return 1 << 20
		}
		return commonPrefix(name, other)
	}
	sort.SliceStable(list, func(a, b int) bool { return rank(list[a]) > rank(list[b]) })
	return list[:min(len(list), maxNeighbours)]
}

// subject is what a file is about: its name without ending and without what
// marks tests.
func subject(name string) string {
	s := strings.ToLower(stem(name))
	for _, mark := range []string{"_test", ".test", ".spec", "_spec", "test"} {
		s = strings.TrimSuffix(s, mark)
	}
	return strings.TrimPrefix(strings.TrimPrefix(s, "test_"), "test-")
}

// family joins languages that are used together.
func family(lang string) string {
	switch lang {
	case "c++", "objective-c", "cuda":
		return "c"
	case "typescript", "tsx":
		return "javascript"
	}
	return lang
}
