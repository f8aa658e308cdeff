package dataset

import (
	"strings"
	"testing"
)

// fimFake is a vocabulary of bytes with the special tokens of a family.
func fimFake(bos string, specials ...string) *fakeTokenizer {
	tok := newFake(specials)
	if bos != "" {
		tok.bos, tok.addBOS = tok.id(bos), true
	}
	tok.eos = tok.id(specials[len(specials)-1])
	return tok
}

// families are vocabularies as the models have them, and what becomes of one
// record, without and with the files before it.
var families = []struct {
	name        string
	tok         *fakeTokenizer
	alone, with string
	rendered    string
}{
	{
		"qwen", fimFake("", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>", "<|endoftext|>"),
		"<|fim_prefix|>P(<|fim_suffix|>)S<|fim_middle|>[[M<|endoftext|>]]",
		"<|repo_name|>app\n<|file_sep|>a.go\nA\n<|file_sep|>b.go\nB\n<|file_sep|>c.go\n" +
			"<|fim_prefix|>P(<|fim_suffix|>)S<|fim_middle|>[[M<|endoftext|>]]", "",
	},
	{
		"starcoder2", fimFake("", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<repo_name>", "<file_sep>", "<|endoftext|>"),
		"<fim_prefix>P(<fim_suffix>)S<fim_middle>[[M<|endoftext|>]]",
		"<repo_name>app<file_sep>a.go\nA\n<file_sep>b.go\nB<file_sep><fim_prefix>c.go\nP(<fim_suffix>)S<fim_middle>[[M<|endoftext|>]]", "",
	},
	{
		"codegemma", fimFake("<bos>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_separator|>", "<bos>", "<eos>"),
		"<bos><|fim_prefix|>P(<|fim_suffix|>)S<|fim_middle|>[[M<|file_separator|>]]",
		"<bos>A\n<|file_separator|>B<|file_separator|><|fim_prefix|>P(<|fim_suffix|>)S<|fim_middle|>[[M<|file_separator|>]]",
		"A\n<|file_separator|>B<|file_separator|><|fim_prefix|>P(<|fim_suffix|>)S<|fim_middle|>M<|file_separator|>",
	},
	{
		"deepseek", fimFake("<｜begin▁of▁sentence｜>", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
		"<｜begin▁of▁sentence｜><｜fim▁begin｜>P(<｜fim▁hole｜>)S<｜fim▁end｜>[[M<｜end▁of▁sentence｜>]]",
		"<｜begin▁of▁sentence｜>#a.go\nA\n#b.go\nB\n#c.go\n<｜fim▁begin｜>P(<｜fim▁hole｜>)S<｜fim▁end｜>[[M<｜end▁of▁sentence｜>]]",
		"#a.go\nA\n#b.go\nB\n#c.go\n<｜fim▁begin｜>P(<｜fim▁hole｜>)S<｜fim▁end｜>M<｜end▁of▁sentence｜>",
	},
	{
		"codellama", fimFake("<s>", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>", "<s>", "</s>"),
		"<s>▁<PRE>P(▁<SUF>)S▁<MID>[[M▁<EOT>]]",
		"<s>▁<PRE>P(▁<SUF>)S▁<MID>[[M▁<EOT>]]", // trained with no files beside
		"<PRE> P( <SUF>)S <MID>M <EOT>",
	},
}

const (
	aloneLine = `{"prefix":"P(","suffix":")S","middle":"M","repo":7,"path":null}`
	withLine  = `{"prefix":"P(","suffix":")S","middle":"M","repo":"app","path":"c.go",` +
		`"context":[{"path":"a.go","content":"A\n"},{"path":"b.go","content":"B"}]}`
)

// Each family gets its own tokens in its own order, with and without files
// before the hole; without a middle's worth of loss on them.
func TestFIMFamilies(t *testing.T) {
	for _, tt := range families {
		b := newBuilder(LoadOptions{MaxLength: 1000}, tt.tok)
		for line, want := range map[string]string{aloneLine: tt.alone, withLine: tt.with} {
			r, err := parseRecord([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			s, counts, err := b.encode(r)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if got := marked(s.tokens, s.train, tt.tok); got != want {
				t.Errorf("%s:\n got %q\nwant %q", tt.name, got, want)
			}
			if lost := counts.lostContext > 0; lost != (tt.name == "codellama" && line == withLine) {
				t.Errorf("%s: context lost: %t", tt.name, lost)
			}
		}
		f, err := FindFIM(tt.tok)
		if err != nil || f.Family != tt.name {
			t.Errorf("%s: found %+v, %v", tt.name, f, err)
		}
		rendered := tt.rendered
		if rendered == "" {
			rendered = strings.NewReplacer("[[", "", "]]", "").Replace(tt.with)
		}
		r, err := parseRecord([]byte(withLine))
		if err != nil {
			t.Fatal(err)
		}
		got, shown, err := RenderFIM(tt.name, r.fim)
		if err != nil || got != rendered || shown != (tt.name != "codellama") {
			t.Errorf("%s: rendered %q, %t, %v, want %q", tt.name, got, shown, err, rendered)
		}
	}
	if _, _, err := RenderFIM("klingon", FIMSample{}); err == nil {
		t.Error("an unknown family was rendered")
	}
}

// A record that is too long loses the files farthest from the hole first, and
// only then text around it.
func TestFIMTruncation(t *testing.T) {
	tok := families[0].tok
	r, err := parseRecord([]byte(withLine))
	if err != nil {
		t.Fatal(err)
	}
	const hole = "<|fim_prefix|>P(<|fim_suffix|>)S<|fim_middle|>[[M<|endoftext|>]]"
	for _, tt := range []struct {
		limit int
		want  string
	}{
		{36, families[0].with},
		{35, "<|repo_name|>app\n<|file_sep|>b.go\nB\n<|file_sep|>c.go\n" + hole},
		{28, "<|repo_name|>app\n<|file_sep|>b.go\nB\n<|file_sep|>c.go\n" + hole},
		{27, hole},
		{9, hole},
		{8, "<|fim_prefix|>P(<|fim_suffix|>)<|fim_middle|>[[M<|endoftext|>]]"},
		{6, "<|fim_prefix|>(<|fim_suffix|><|fim_middle|>[[M<|endoftext|>]]"},
		{4, ""},
	} {
		b := newBuilder(LoadOptions{MaxLength: tt.limit}, tok)
		s, _, err := b.fim(r, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if s != nil {
			got = marked(s.tokens, s.train, tok)
		}
		if got != tt.want {
			t.Errorf("limit %d:\n got %q\nwant %q", tt.limit, got, tt.want)
		}
	}
}

func TestFIMContextIsChecked(t *testing.T) {
	for line, want := range map[string]string{
		`{"prefix":"","suffix":"","middle":"","context":[]}`:                                                 "middle is empty",
		`{"prefix":"","suffix":"","middle":"m","context":"x"}`:                                               "context is not a list",
		`{"prefix":"","suffix":"","middle":"m","context":[{"path":"a"}]}`:                                    "context file 1 is no object",
		`{"prefix":"","suffix":"","middle":"m","context":[{"path":"a","content":1}],"path":"p"}`:             "context file 1: content is not a string",
		`{"prefix":"","suffix":"","middle":"m","context":[{"path":"a","content":"c"}]}`:                      "needs the path of its own file",
		`{"prefix":"","suffix":"","middle":"m","context":[{"path":"a","content":"c"}],"path":1}`:             "path is not a string",
		`{"prefix":"","suffix":"","middle":"m","path":"p","repo":{},"context":[{"path":"a","content":"c"}]}`: "repo is not a string",
	} {
		if _, err := parseRecord([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	for _, line := range []string{`{"prefix":"","suffix":"","middle":"m","context":[]}`, `{"prefix":"","suffix":"","middle":"m","context":null}`} {
		if r, err := parseRecord([]byte(line)); err != nil || r.fim.Context != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
