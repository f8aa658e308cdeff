package fim

import (
	"path"
	"slices"
	"strings"

	enry "github.com/go-enry/go-enry/v2"
)

// writtenData are languages that linguist calls data and people write all the
// same. Other data is left out unless its language is asked for.
var writtenData = map[string]bool{"SQL": true, "Protocol Buffer": true, "GraphQL": true, "YAML": true, "TOML": true}

// usual are the languages of endings that several share and whose content
// does not tell.
var usual = map[string]string{
	".h": "C", ".m": "Objective-C", ".pl": "Perl", ".pm": "Perl", ".t": "Perl", ".ts": "TypeScript", ".tsx": "TSX", ".cs": "C#", ".rs": "Rust",
	".md": "Markdown", ".sql": "SQL", ".r": "R", ".v": "Verilog", ".php": "PHP", ".html": "HTML", ".yml": "YAML", ".yaml": "YAML",
	".s": "Assembly", ".asm": "Assembly", ".inc": "C++", ".f": "Fortran", ".fs": "F#", ".d": "D", ".sc": "Scala", ".cls": "TeX", ".tf": "HCL",
	".ml": "OCaml", ".hh": "C++", ".l": "Lex", ".lisp": "Common Lisp", ".ex": "Elixir", ".jl": "Julia", ".gd": "GDScript", ".sh": "Shell",
}

// languageByPath returns linguist's name of the language, or "" when only the
// content can tell or nothing can: maybe is false for the latter.
func languageByPath(file string) (lang string, maybe bool) {
	base := path.Base(file)
	if list := enry.GetLanguagesByFilename(base, nil, nil); len(list) == 1 {
		return list[0], true
	}
	list := enry.GetLanguagesByExtension(base, nil, nil)
	switch {
	case len(list) == 1:
		return list[0], true
	case len(list) > 1:
		return "", true
	}
	return "", path.Ext(base) == "" // a script may begin with its interpreter
}

// languageByContent settles what the path leaves open.
func languageByContent(file string, src []byte) string {
	base := path.Base(file)
	if path.Ext(base) == "" {
		if list := enry.GetLanguagesByShebang("", src[:min(len(src), 512)], nil); len(list) > 0 {
			return list[0]
		}
		return ""
	}
	candidates := enry.GetLanguagesByExtension(base, nil, nil)
	head := src[:min(len(src), 4<<10)]
	if list := enry.GetLanguagesByContent(base, head, nil); len(list) == 1 && slices.Contains(candidates, list[0]) {
		return list[0]
	}
	if lang := usual[strings.ToLower(path.Ext(base))]; slices.Contains(candidates, lang) {
		return lang
	}
	if len(candidates) > 0 {
		return candidates[0]
	}
	return ""
}

// knownLanguage finds linguist's name of a language by any of its names.
func knownLanguage(name string) (string, bool) {
	return enry.GetLanguageByAlias(name)
}

// wanted tells whether a language is to be kept. Without a choice it must be
// one that people write.
func wanted(lang string, choice []string) bool {
	for _, c := range choice {
		if name, ok := knownLanguage(c); ok && (name == lang || name == enry.GetLanguageGroup(lang)) {
			return true
		}
	}
	if len(choice) > 0 {
		return false
	}
	kind := enry.GetLanguageType(lang)
	if lang == "Gettext Catalog" { // prose for linguist, but keyed like data
		return false
	}
	return kind == enry.Programming || kind == enry.Markup || kind == enry.Prose || writtenData[lang]
}

// recordLanguage is the name that records carry.
func recordLanguage(lang string) string { return strings.ToLower(lang) }
