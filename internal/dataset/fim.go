package dataset

import (
	"errors"
	"fmt"
	"strings"
)

// fimFamily spells the fill-in-the-middle tokens of a family of models. Sources
// are the families' model cards; llama.cpp looks for the same spellings.
type fimFamily struct {
	name                   string
	prefix, suffix, middle string
	end                    []string // what ends the middle, most fitting first
}

var fimFamilies = []fimFamily{
	{"qwen", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", []string{"<|endoftext|>", "<|file_separator|>", "<eos>"}}, // and CodeGemma
	{"starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", []string{"<|endoftext|>"}},                                 // and Granite Code
	{"santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>", []string{"<|endoftext|>"}},
	{"deepseek", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", []string{"<｜end▁of▁sentence｜>", "<|EOT|>"}},
	{"codellama", "▁<PRE>", "▁<SUF>", "▁<MID>", []string{"▁<EOT>"}},
	{"codellama", "<PRE>", "<SUF>", "<MID>", []string{"<EOT>"}},
	{"glm", "<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", []string{"<|endoftext|>"}},
	{"falcon", "<|prefix|>", "<|suffix|>", "<|middle|>", []string{"<|endoftext|>", "<|end_of_text|>"}},
}

// FIMTokens are the special tokens of a fill-in-the-middle sample, laid out as
// Prefix p Suffix s Middle m End.
type FIMTokens struct {
	Prefix, Suffix, Middle, End int32
	Family                      string // "" when the model names tokens of no known family
}

// FindFIM takes the tokens that the model file names and, where it names none,
// those of a known family that its vocabulary holds.
func FindFIM(t Tokenizer) (FIMTokens, error) {
	f := FIMTokens{Prefix: t.FIMPrefix(), Suffix: t.FIMSuffix(), Middle: t.FIMMiddle(), End: -1}
	if f.Prefix >= 0 && f.Suffix >= 0 && f.Middle >= 0 {
		named := strings.TrimSpace(t.Decode([]int32{f.Prefix}))
		for _, family := range fimFamilies {
			if strings.TrimPrefix(family.prefix, "▁") == strings.TrimPrefix(named, "▁") {
				f.Family = family.name
				f.End = findEnd(t, family.end)
				break
			}
		}
		return f.finish(t)
	}
	for _, family := range fimFamilies {
		prefix, ok1 := t.Lookup(family.prefix)
		suffix, ok2 := t.Lookup(family.suffix)
		middle, ok3 := t.Lookup(family.middle)
		if ok1 && ok2 && ok3 {
			f = FIMTokens{prefix, suffix, middle, findEnd(t, family.end), family.name}
			return f.finish(t)
		}
	}
	return f, errNoFIM
}

var errNoFIM = errors.New("the model has no fill-in-the-middle tokens, which FIM records need")

func findEnd(t Tokenizer, pieces []string) int32 {
	for _, p := range pieces {
		if id, ok := t.Lookup(p); ok {
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

// fim lays out a fill-in-the-middle record. With limit above 0 a longer one
// loses text far from the hole: the start of the prefix and the end of the
// suffix, in the proportion 3 to 1 that llama.cpp's infill keeps.
func (b *builder) fim(r *record, limit int) (*encoded, error) {
	f, err := b.fimTokens()
	if err != nil {
		return nil, err
	}
	var parts [3][]int32
	for i, text := range []string{r.prefix, r.suffix, r.middle} {
		if parts[i], err = b.e.raw(text); err != nil {
			return nil, fmt.Errorf("tokenise: %w", err)
		}
	}
	prefix, suffix, middle := parts[0], parts[1], parts[2]
	if limit > 0 {
		fixed := 4 + len(middle) + len(b.begin())
		if fixed > limit {
			return nil, nil
		}
		prefix, suffix = trimContext(prefix, suffix, limit-fixed)
	}
	all := b.o.Loss == LossAll
	out := &encoded{}
	out.add(false, b.begin()...)
	out.add(all, f.Prefix)
	out.add(all, prefix...)
	out.add(all, f.Suffix)
	out.add(all, suffix...)
	out.add(all, f.Middle)
	out.add(true, middle...)
	out.add(true, f.End)
	return out, nil
}

// trimContext keeps at most room tokens around the hole. What one side does
// not need the other may use.
func trimContext(prefix, suffix []int32, room int) (p, s []int32) {
	if len(prefix)+len(suffix) <= room {
		return prefix, suffix
	}
	after := min(len(suffix), max(room/4, room-len(prefix)))
	before := min(len(prefix), room-after)
	return prefix[len(prefix)-before:], suffix[:after]
}
