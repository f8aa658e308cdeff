package dataset

import (
	"errors"
	"fmt"
	"strings"
)

// fimFamily is a family of models that know fill-in-the-middle: how it spells
// the tokens, and how it lays out files beside the one with the hole. Sources
// are the families' model cards and papers; llama.cpp looks for the same
// spellings.
type fimFamily struct {
	name                   string
	prefix, suffix, middle string
	end                    []string // what ends the middle, most fitting first
	repo, sep              string   // before a repository's name, between files; "" for none
	files                  fileLayout
}

var fimFamilies = []fimFamily{
	{"qwen", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", []string{"<|endoftext|>"}, "<|repo_name|>", "<|file_sep|>", filesQwen},
	{"codegemma", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
		[]string{"<|file_separator|>", "<eos>"}, "", "<|file_separator|>", filesCodeGemma},
	{"starcoder2", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", []string{"<|endoftext|>"}, "<repo_name>", "<file_sep>", filesStarCoder2},
	{"starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", []string{"<|endoftext|>"}, "", "", nil}, // and Granite Code
	{"santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>", []string{"<|endoftext|>"}, "", "", nil},
	{"deepseek", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", []string{"<｜end▁of▁sentence｜>", "<|EOT|>"}, "", "", filesDeepSeek},
	{"codellama", "▁<PRE>", "▁<SUF>", "▁<MID>", []string{"▁<EOT>"}, "", "", nil},
	{"codellama", "<PRE>", "<SUF>", "<MID>", []string{"<EOT>"}, "", "", nil},
	{"glm", "<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", []string{"<|endoftext|>"}, "", "", nil},
	{"falcon", "<|prefix|>", "<|suffix|>", "<|middle|>", []string{"<|endoftext|>", "<|end_of_text|>"}, "", "", nil},
}

// FIMTokens are the special tokens of a fill-in-the-middle sample, laid out as
// Prefix p Suffix s Middle m End. Repo and Sep are those between files, -1
// where the family has none.
type FIMTokens struct {
	Prefix, Suffix, Middle, End int32
	Repo, Sep                   int32
	Family                      string // "" when the model names tokens of no known family

	files fileLayout // nil when the model has no way to show other files
}

// FindFIM takes the tokens that the model file names and, where it names none,
// those of a known family that its vocabulary holds.
func FindFIM(t Tokenizer) (FIMTokens, error) {
	f := FIMTokens{Prefix: t.FIMPrefix(), Suffix: t.FIMSuffix(), Middle: t.FIMMiddle(), End: -1, Repo: -1, Sep: -1}
	if f.Prefix >= 0 && f.Suffix >= 0 && f.Middle >= 0 {
		named := strings.TrimSpace(t.Decode([]int32{f.Prefix}))
		for _, family := range fimFamilies {
			if strings.TrimPrefix(family.prefix, "▁") == strings.TrimPrefix(named, "▁") && family.fits(t) {
				f.adopt(t, family)
				break
			}
		}
		return f.finish(t)
	}
	for _, family := range fimFamilies {
		prefix, ok1 := t.Lookup(family.prefix)
		suffix, ok2 := t.Lookup(family.suffix)
		middle, ok3 := t.Lookup(family.middle)
		if ok1 && ok2 && ok3 && family.fits(t) {
			f.Prefix, f.Suffix, f.Middle = prefix, suffix, middle
			f.adopt(t, family)
			return f.finish(t)
		}
	}
	return f, errNoFIM
}

// fits tells families of one spelling apart by the token between files. The
// last of each spelling takes what is left; "qwen" does so for its own.
func (family fimFamily) fits(t Tokenizer) bool {
	if family.sep == "" {
		return true
	}
	if _, ok := t.Lookup(family.sep); ok {
		return true
	}
	_, other := t.Lookup("<|file_separator|>")
	return family.name == "qwen" && !other
}

// adopt takes what only the family knows.
func (f *FIMTokens) adopt(t Tokenizer, family fimFamily) {
	f.Family = family.name
	f.End = findFirst(t, family.end)
	f.Repo, f.Sep = findFirst(t, []string{family.repo}), findFirst(t, []string{family.sep})
	if f.Sep >= 0 || family.sep == "" {
		f.files = family.files
	}
}

var errNoFIM = errors.New("the model has no fill-in-the-middle tokens, which FIM records need")

func findFirst(t Tokenizer, pieces []string) int32 {
	for _, p := range pieces {
		if id, ok := t.Lookup(p); ok && p != "" {
			return id
		}
	}
	return -1
}

func (f FIMTokens) finish(t Tokenizer) (FIMTokens, error) {
	if f.End < 0 {
		f.End = endOfText(t)
	}
	if f.End < 0 {
		return f, errNoEnd
	}
	return f, nil
}

var errNoEnd = errors.New("the model has no token for the end of a text")

// endOfText closes plain text and completions.
func endOfText(t Tokenizer) int32 {
	if t.EOS() >= 0 {
		return t.EOS()
	}
	return t.EOT()
}

// FIMFamilies names the families that RenderFIM can spell.
func FIMFamilies() []string {
	var names []string
	for i, f := range fimFamilies {
		if i == 0 || fimFamilies[i-1].name != f.name {
			names = append(names, f.name)
		}
	}
	return names
}

// RenderFIM spells a sample with the special tokens of a family, for trainers
// that take text and parse such tokens in it. shown tells whether the context
// is part of it: some families have no way to show other files.
func RenderFIM(family string, s FIMSample) (text string, shown bool, err error) {
	for _, f := range fimFamilies {
		if f.name == family {
			var b strings.Builder
			for _, seg := range s.layout(f.files) {
				b.WriteString(f.spell(seg))
			}
			return b.String(), len(s.Context) == 0 || f.files != nil, nil
		}
	}
	return "", false, fmt.Errorf("unknown family %q: choose one of %s", family, strings.Join(FIMFamilies(), ", "))
}

// spell is the text of a segment. Code Llama's tokens carry a space before
// them, and one follows the first.
func (f fimFamily) spell(s segment) string {
	piece := map[segmentKind]string{
		tokenPrefix: f.prefix, tokenSuffix: f.suffix, tokenMiddle: f.middle, tokenEnd: f.end[0], tokenRepo: f.repo, tokenSep: f.sep,
	}[s.role]
	if piece == "" {
		return s.text
	}
	if f.name != "codellama" {
		return piece
	}
	piece = strings.TrimPrefix(piece, "▁")
	if s.role == tokenPrefix {
		return piece + " "
	}
	return " " + piece
}
