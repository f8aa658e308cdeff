package fim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/qlora/qlora/internal/prep/shard"
)

// body is code that no other number's is near to.
func body(n int) string {
	var b strings.Builder
	for i := range 12 {
		fmt.Fprintf(&b, "\tx%d_%d := call%d_%d(alpha%d, %d)\n", n, i, n, i, i*n, i)
	}
	return fmt.Sprintf("func F%d() int {\n%s\treturn x%d_0\n}\n", n, b.String(), n)
}

// gitIn runs git in dir with no settings of the machine's.
func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Records of the repository level show what the file imports and its
// neighbours, dependencies first, and never a version of the file itself.
func TestContext(t *testing.T) {
	files := map[string]string{
		"go.mod":            "module example.com/app\n",
		"main.go":           "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.com/app/db\"\n\t\"example.com/app/web\"\n)\n\n" + body(1),
		"main_old.go":       "package main\n\nimport \"example.com/app/db\"\n\n" + body(1) + "\nvar Old = 1\n", // nearly main.go
		"db/db.go":          "package db\n\n" + body(2),
		"db/db_test.go":     "package db\n\n" + body(3),
		"web/web.go":        "package web\n\nimport \"example.com/app/db\"\n\n" + body(4),
		"helper.go":         "package main\n\n" + body(5),
		"vendor/x/x.go":     "package x\n\n" + body(6),
		"unrelated/deep.go": "package deep\n\n" + body(7),
	}
	o := DefaultOptions()
	o.Repos, o.Levels, o.MaxMiddle = []string{tree(t, files)}, Levels{Repo: 1}, 200
	data, report := convert(t, o)
	shown := map[string][]string{}
	for _, r := range decode[Record](t, data) {
		var paths []string
		for _, c := range r.Context {
			paths = append(paths, c.Path)
			if !strings.HasPrefix(files[c.Path], c.Content) || len(c.Content) < minContext {
				t.Errorf("%s: shown text is not the start of %s", r.Path, c.Path)
			}
			if m := strings.TrimSpace(r.Middle); len(m) >= minLeak && strings.Contains(c.Content, m) {
				t.Errorf("%s: the middle stands in %s", r.Path, c.Path)
			}
		}
		if n := len(r.Prefix) + len(r.Middle) + len(r.Suffix) + contextSize(r); n > o.MaxChars {
			t.Errorf("%s: %d bytes, at most %d", r.Path, n, o.MaxChars)
		}
		shown[r.Path] = paths
	}
	for path, want := range map[string][]string{
		"main.go":    {"helper.go", "db/db.go", "web/web.go"}, // not main_old.go; web needs db
		"web/web.go": {"db/db.go"},
		"db/db.go":   {"db/db_test.go"},
	} {
		if !slices.Equal(shown[path], want) {
			t.Errorf("%s shows %q, want %q", path, shown[path], want)
		}
	}
	if report.Levels[LevelRepo] == 0 || report.NoContext == 0 || len(shown["unrelated/deep.go"]) > 0 {
		t.Errorf("levels %v, %d without context", report.Levels, report.NoContext)
	}
}

func contextSize(r Record) int {
	n := 0
	for _, c := range r.Context {
		n += len(c.Path) + len(c.Content)
	}
	return n
}

// The standard library shows only files that records are made of too.
func TestContextHoldsNoSkippedFile(t *testing.T) {
	o := DefaultOptions()
	o.Repos, o.Levels = stdlib(t), Levels{Repo: 1}
	data, report := convert(t, o)
	used := map[string]bool{}
	records := decode[Record](t, data)
	for _, r := range records {
		used[r.Repo+"/"+r.Path] = true
	}
	for _, r := range records {
		for _, c := range r.Context {
			if !used[r.Repo+"/"+c.Path] {
				t.Errorf("%s/%s shows %s, which was left out", r.Repo, r.Path, c.Path)
			}
		}
	}
	if report.Levels[LevelRepo] < len(records)/2 {
		t.Errorf("levels %v", report.Levels)
	}
}

func TestImports(t *testing.T) {
	for _, tt := range []struct {
		lang, path, line string
		want             []wish
	}{
		{"go", "a/b.go", `import x "m/a/c"`, []wish{{"m/a/c", true}}},
		{"python", "p/q/r.py", "from ..s import t as u, v", []wish{{path: "/p/s/t"}, {path: "/p/s/v"}, {path: "/p/s"}, {path: "/p/s/__init__"}}},
		{"python", "p/r.py", "from . import t", []wish{{path: "/p/t"}, {path: "/p"}, {path: "/p/__init__"}}},
		{"python", "r.py", "import a.b as c, d", []wish{{path: "a/b"}, {path: "a/b/__init__"}, {path: "d"}, {path: "d/__init__"}}},
		{"python", "r.py", "from ... import up", []wish(nil)},
		{"javascript", "lib/x.js", "const y = require('../y');", []wish{{path: "/y"}, {path: "/y/index"}}},
		{"typescript", "lib/x.ts", `import { z } from "./z.js";`, []wish{{path: "/lib/z"}, {path: "/lib/z/index"}}},
		{"javascript", "lib/x.js", "import fs from 'fs'", nil},
		{"c", "src/a.c", `#include "b/c.h"`, []wish{{path: "/src/b/c.h"}, {path: "b/c.h"}}},
		{"c", "src/a.c", "# include <sys/types.h>", []wish{{path: "sys/types.h"}}},
		{"c", "src/a.c", "#include <stdio.h>", nil},
		{"java", "A.java", "import static a.b.C.d;", []wish{{path: "a/b/C/d"}, {path: "a/b/C"}}},
		{"rust", "src/lib.rs", "pub mod m;", []wish{{path: "/src/m"}, {path: "/src/m/mod"}}},
		{"ruby", "lib/a.rb", "require_relative 'b'", []wish{{path: "/lib/b"}}},
		{"lua", "a.lua", "require 'b'", nil},
	} {
		if got := findImports(tt.lang, tt.path, []byte(tt.line+"\n")); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q gives %v, want %v", tt.lang, tt.line, got, tt.want)
		}
	}
}

// A bare repository yields what the folder does that it was made from, and an
// older commit what was there then.
func TestCommit(t *testing.T) {
	dir := tree(t, map[string]string{
		"a.go": "package p\n\n" + body(1), "sub/b.go": "package q\n\n" + body(2), ".gitattributes": "gen_*.go linguist-generated\n",
		"gen_c.go": "package p\n\n" + body(3), "LICENSE": mit,
	})
	if err := os.Symlink("a.go", filepath.Join(dir, "link.go")); err != nil {
		t.Fatal(err)
	}
	gitIn(t, dir, "init", "-q")
	gitIn(t, dir, "add", ".")
	gitIn(t, dir, "commit", "-q", "-m", "one")
	first := gitIn(t, dir, "rev-parse", "HEAD")
	o := DefaultOptions()
	o.Repos, o.Workers = []string{dir}, 3
	plain, _ := convert(t, o)

	bare := filepath.Join(t.TempDir(), "repo.git")
	gitIn(t, dir, "clone", "-q", "--bare", ".", bare)
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("package p\n\n"+body(9)), 0o600); err != nil {
		t.Fatal(err)
	}
	gitIn(t, dir, "commit", "-q", "-am", "two")
	for name, change := range map[string]func(*Options){
		"bare":   func(o *Options) { o.Repos = []string{bare} },
		"commit": func(o *Options) { o.Rev = "HEAD^" },
	} {
		o := o
		change(&o)
		data, report := convert(t, o)
		stripped := bytes.ReplaceAll(data, []byte(`,"commit":"`+first+`"`), nil)
		if !bytes.Equal(stripped, plain) || len(data) == len(plain) {
			t.Errorf("%s: other records than from the folder", name)
		}
		if report.Left[reasonGenerated] != 1 || report.Left[reasonIrregular] != 1 || report.Repos[0].License != "MIT" {
			t.Errorf("%s: left out %v, license %q", name, report.Left, report.Repos[0].License)
		}
	}
	o.Rev = "no-such"
	if _, err := Convert(context.Background(), o); err == nil || !strings.Contains(err.Error(), "no commit no-such") {
		t.Errorf("unknown revision: %v", err)
	}
}

// Parts and workers make the same bytes as one run, copies of files in other
// parts included.
func TestShards(t *testing.T) {
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("d%d/f%d.go", i%5, i)] = "package p\n\n" + body(i%30)
	}
	for i, name := range []string{"a漢", "a\xff", "a\xc0", "a\xf0"} { // only the bytes tell the last three apart
		files[name+".go"] = "package p\n\n" + body(100+i)
	}
	one, two := tree(t, files), tree(t, files)
	o := DefaultOptions()
	o.Repos = append([]string{one, two}, stdlib(t)[0])
	whole, _ := convert(t, o)
	o.Workers = 8
	if again, _ := convert(t, o); !bytes.Equal(again, whole) {
		t.Error("8 workers give other bytes than one")
	}
	for _, n := range []int{1, 2, 7} {
		var parts []string
		for i := range n {
			o.Shard = shard.Spec{Index: i + 1, Count: n}
			o.Out = filepath.Join(t.TempDir(), fmt.Sprintf("part-%d.jsonl", i+1))
			if _, err := Convert(context.Background(), o); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, o.Out)
		}
		out := filepath.Join(t.TempDir(), "merged.jsonl")
		if _, err := shard.Merge(context.Background(), out, parts); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("%d parts joined give %d bytes, one run %d, %v", n, len(got), len(whole), err)
		}
	}
}

// The attributes decide as git says they do.
func TestAttributes(t *testing.T) {
	rules := map[string]string{
		".gitattributes":      "*.go linguist-generated\nmine/** -linguist-generated linguist-vendored=false\nlib/*.go linguist-vendored\n# x linguist-vendored\n/top.go !linguist-generated\n",
		"mine/.gitattributes": "special.go linguist-generated=true linguist-language=Python\nbad[ linguist-vendored\n",
		"lib/.gitattributes":  "b.go linguist-vendored=false\n",
	}
	paths := []string{"top.go", "a/top.go", "mine/x.go", "mine/special.go", "mine/deep/special.go", "lib/a.go", "lib/b.go", "lib/deep/c.go", "x.py"}
	dir := tree(t, rules)
	var listed []string
	for name := range rules {
		listed = append(listed, name)
	}
	slices.Sort(listed)
	a := readAttributes(listed, func(path string) ([]byte, error) { return []byte(rules[path]), nil })
	gitIn(t, dir, "init", "-q")
	for _, path := range paths {
		got := a.of(path)
		for name, flag := range map[string]*bool{"linguist-vendored": got.vendored, "linguist-generated": got.generated} {
			said := gitIn(t, dir, "check-attr", name, "--", path)
			value := said[strings.LastIndex(said, ": ")+2:]
			want := map[string]string{"set": "true", "true": "true", "unset": "false", "false": "false", "unspecified": "nil"}[value]
			have := "nil"
			if flag != nil {
				have = fmt.Sprint(*flag)
			}
			if have != want {
				t.Errorf("%s of %s is %s, git says %s", name, path, have, value)
			}
		}
	}
	if l := a.of("mine/special.go"); l.language != "Python" {
		t.Errorf("language %q", l.language)
	}
}

// A path that is not UTF-8 does not spoil a record.
func TestOddPath(t *testing.T) {
	dir := tree(t, map[string]string{"a\xff.go": "package p\n\n" + body(1), "b \"q\".go": "package p\n\n" + body(2)})
	o := DefaultOptions()
	o.Repos, o.Levels = []string{dir}, Levels{Repo: 1}
	data, report := convert(t, o)
	paths := map[string]bool{}
	for _, r := range decode[Record](t, data) {
		paths[r.Path] = true
	}
	if !paths["a\ufffd.go"] || !paths["b \"q\".go"] || report.Used != 2 || !utf8.Valid(data) {
		t.Errorf("paths %v, %v", paths, report.Problems)
	}
}
