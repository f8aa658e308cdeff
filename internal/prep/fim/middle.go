package fim

import (
	"bytes"
	"strings"
	"unicode"
)

// usable tells whether s is short enough, free, and worth learning: it says
// something, is no comment or import alone, and cannot be copied from beside.
func (p *picker) usable(s span) bool {
	if s.end-s.start > p.limit || s.end <= s.start {
		return false
	}
	for _, t := range p.taken {
		if s.start < t.end && t.start < s.end {
			return false
		}
	}
	middle := p.src[s.start:s.end]
	return bytes.ContainsFunc(middle, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) &&
		!p.trivial(middle) && !p.repeated(s)
}

// Bounds on what counts as beside the hole.
const (
	shortMiddle = 8   // bytes; shorter ones occur everywhere
	besideHole  = 256 // bytes on each side
)

// repeated tells whether the middle stands next to its own place. Short ones
// must only not touch their copy.
func (p *picker) repeated(s span) bool {
	before, after := p.src[:s.start], p.src[s.end:]
	middle := bytes.TrimSpace(p.src[s.start:s.end])
	if len(middle) < shortMiddle {
		raw := p.src[s.start:s.end]
		return bytes.HasSuffix(before, raw) || bytes.HasPrefix(after, raw)
	}
	reach := max(besideHole, 2*len(middle))
	return bytes.Contains(before[max(0, len(before)-reach):], middle) || bytes.Contains(after[:min(len(after), reach)], middle)
}

// proseLanguages have no comments to tell from code.
var proseLanguages = map[string]bool{"markdown": true, "restructuredtext": true, "tex": true, "text": true, "org": true, "asciidoc": true}

// commentMarks begin the lines of comments, by language; other languages have
// those of C.
var commentMarks = map[string][]string{
	"python": {"#"}, "ruby": {"#"}, "shell": {"#"}, "perl": {"#"}, "r": {"#"}, "yaml": {"#"}, "toml": {"#"}, "makefile": {"#"}, "cmake": {"#"},
	"dockerfile": {"#"}, "elixir": {"#"}, "julia": {"#"}, "nix": {"#"}, "powershell": {"#"}, "tcl": {"#"},
	"sql": {"--"}, "lua": {"--"}, "haskell": {"--"}, "ada": {"--"}, "common lisp": {";"}, "emacs lisp": {";"}, "scheme": {";"}, "clojure": {";"},
	"erlang": {"%"}, "html": {"<!--"}, "xml": {"<!--"}, "php": {"//", "#", "*", "/*"},
}

var cMarks = []string{"//", "*", "/*"}

// importMarks begin lines that only name other files.
var importMarks = map[string][]string{
	"go": {"import ", `"`, "package "}, "python": {"import ", "from "}, "java": {"import ", "package "}, "kotlin": {"import ", "package "},
	"scala": {"import ", "package "}, "c": {"#include"}, "c++": {"#include", "using "}, "objective-c": {"#import", "#include"},
	"javascript": {"import ", "'use strict'", `"use strict"`}, "typescript": {"import "}, "tsx": {"import "}, "rust": {"use ", "mod ", "extern crate "},
	"ruby": {"require "}, "php": {"use ", "namespace "}, "c#": {"using "}, "swift": {"import "}, "haskell": {"import "},
}

// trivial tells that every line is blank, a comment or an import.
func (p *picker) trivial(middle []byte) bool {
	if proseLanguages[p.lang] {
		return false
	}
	marks := commentMarks[p.lang]
	if marks == nil {
		marks = cMarks
	}
	for rest := middle; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		text := strings.TrimSpace(string(line))
		if text != "" && text != ")" && !begins(text, marks) && !begins(text, importMarks[p.lang]) {
			return false
		}
	}
	return true
}

func begins(line string, marks []string) bool {
	for _, m := range marks {
		if strings.HasPrefix(line, m) {
			return true
		}
	}
	return false
}
