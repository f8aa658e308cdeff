package dataset

import (
	"errors"
	"reflect"
	"slices"
	"testing"
)

// Encoding a prompt and its answer apart gives the model the tokens it meets
// at inference even where the whole text would merge over the seam.
func TestPiecesKeepTheSeam(t *testing.T) {
	tok := newFake(chatSpecials, "\n\n", "ab")
	got, err := newEncoder(tok).pieces([]piece{{"<|im_start|>x\n", false}, {"\nab<|im_end|>", true}})
	if err != nil {
		t.Fatal(err)
	}
	want := []int32{tok.id("<|im_start|>"), 'x', '\n', '\n', tok.id("ab"), tok.id("<|im_end|>")}
	if !slices.Equal(got.tokens, want) {
		t.Errorf("tokens %v, want %v", got.tokens, want)
	}
	if m := marked(got.tokens, got.train, tok); m != "<|im_start|>x\n[[\nab<|im_end|>]]" {
		t.Errorf("marked %q", m)
	}
}

// A vocabulary that puts a space before each text would put one into the
// middle; then the whole is encoded and the mask laid over it.
func TestPiecesWithoutSpuriousSpace(t *testing.T) {
	tok := newFake(chatSpecials, ":x")
	tok.spaced = true
	e := newEncoder(tok)
	got, err := e.pieces([]piece{{"q", false}, {"", true}, {"r:", false}, {"xy", true}, {"z", false}})
	if err != nil {
		t.Fatal(err)
	}
	// The token ":x" ends in the trained part, so it is trained.
	if m := marked(got.tokens, got.train, tok); m != " qr[[:xy]]z" {
		t.Errorf("marked %q", m)
	}
	got, err = e.pieces([]piece{{"[INST] q[/INST]", false}, {" a</s>", true}})
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := tok.Encode("[INST] q[/INST] a</s>", true)
	if !slices.Equal(got.tokens, whole) {
		t.Errorf("at special tokens: %v, want the encoding of the whole %v", got.tokens, whole)
	}
}

func TestRawAddsNoSpace(t *testing.T) {
	tok := newFake(chatSpecials)
	tok.spaced = true
	got, err := newEncoder(tok).raw("ab<s>")
	if err != nil || tok.Decode(got) != "ab<s>" || len(got) != 5 {
		t.Errorf("raw gives %v %q, %v", got, tok.Decode(got), err)
	}
}

func TestFindFIM(t *testing.T) {
	named := chatFake()
	named.fim = [3]int32{named.id("<|fim_prefix|>"), named.id("<|fim_suffix|>"), named.id("<|fim_middle|>")}
	named.eos = named.id("<|im_end|>") // of an instruct model; FIM still ends the text
	f, err := FindFIM(named)
	if err != nil || f.Family != "qwen" || f.End != named.id("<|endoftext|>") {
		t.Errorf("named by the file: %+v, %v", f, err)
	}
	for family, pieces := range map[string][]string{
		"qwen":       {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>"},
		"starcoder":  {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>"},
		"santacoder": {"<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<|endoftext|>"},
		"deepseek":   {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "<｜end▁of▁sentence｜>"},
		"codellama":  {"▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"},
		"glm":        {"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", "<|endoftext|>"},
	} {
		tok := newFake(pieces)
		f, err := FindFIM(tok)
		want := FIMTokens{Prefix: 256, Suffix: 257, Middle: 258, End: 259, Repo: -1, Sep: -1, Family: family}
		f.files = nil // functions do not compare
		if err != nil || !reflect.DeepEqual(f, want) {
			t.Errorf("%s: %+v, %v, want %+v", family, f, err, want)
		}
	}
	if f, err := FindFIM(newFake([]string{"<s>"})); !errors.Is(err, errNoFIM) {
		t.Errorf("no tokens: %+v, %v", f, err)
	}
}
