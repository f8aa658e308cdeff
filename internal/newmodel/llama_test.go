//go:build cgo

package newmodel

import (
	"os"
	"slices"
	"testing"

	"github.com/qlora/qlora/internal/bpe"
	"github.com/qlora/qlora/internal/llama"
)

func loadTest(t *testing.T, c Config, o llama.LoadOptions) *llama.Model {
	t.Helper()
	m, err := llama.Load(writeTest(t, c), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestLibllamaTokenisesAlike is what the whole of internal/bpe promises.
func TestLibllamaTokenisesAlike(t *testing.T) {
	c := testConfig(t)
	vocab := loadTest(t, c, llama.LoadOptions{VocabOnly: true}).Vocab()
	ours, err := bpe.NewEncoder(c.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{
		"", "x", "don't STOP we'LL\n\n\t\tif x == 12345 {\r\n", "日本語 ١٢٣ é́ \u2003\u00a0 \u2028x", "\x00\x01\xff\xfe a\xc3(", "    \n\t \n  end  ",
		"<|im_start|>user\nhello<|im_end|>\n<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", "<|im_start", "😀👍🏽 zwj\u200d",
	}
	for _, name := range []string{"newmodel_test.go", "llama_test.go", "write.go", "shape.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		for _, special := range []bool{false, true} {
			theirs, err := vocab.Encode(text, special)
			if err != nil {
				t.Fatal(err)
			}
			if mine := ours.Encode(text, special); !slices.Equal(mine, theirs) {
				t.Errorf("%.60q, special tokens %v:\n ours %v\nlibllama %v", text, special, mine, theirs)
			}
		}
	}
}

// TestLibllamaClassifiesAlike puts every assigned rune of the basic plane between
// letters, digits and punctuation, where its class decides the words.
func TestLibllamaClassifiesAlike(t *testing.T) {
	c := testConfig(t)
	vocab := loadTest(t, c, llama.LoadOptions{VocabOnly: true}).Vocab()
	ours, err := bpe.NewEncoder(c.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	for r := rune(1); r < 0xD800; r++ {
		text := "if" + string(r) + "if" + string(r) + "1" + string(r) + ". " + string(r) + "\n"
		theirs, err := vocab.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ours.Encode(text, false), theirs) {
			differ++
			t.Logf("%U is cut differently", r)
		}
	}
	if differ > 0 {
		t.Errorf("%d runes are classified unlike libllama's tables", differ)
	}
}

func TestLibllamaReadsSpecialTokens(t *testing.T) {
	c := testConfig(t)
	vocab := loadTest(t, c, llama.LoadOptions{VocabOnly: true}).Vocab()
	for piece, got := range map[string]int32{
		EndOfText: vocab.EOS(), TurnEnd: vocab.EOT(), FIMPrefix: vocab.FIMPrefix(), FIMSuffix: vocab.FIMSuffix(),
		FIMMiddle: vocab.FIMMiddle(), FIMPad: vocab.FIMPad(), RepoName: vocab.FIMRepo(), FileSep: vocab.FIMSep(),
	} {
		if want, _ := c.Vocab.Special(piece); got != want {
			t.Errorf("%s has id %d in libllama, want %d", piece, got, want)
		}
	}
	if vocab.AddBOS() {
		t.Error("libllama would add a beginning token")
	}
}

func TestLibllamaRunsANewModel(t *testing.T) {
	for _, tied := range []bool{false, true} {
		c := testConfig(t)
		c.Shape.Tied = tied
		m := loadTest(t, c, llama.LoadOptions{})
		ctx, err := m.NewContext(llama.ContextOptions{Ctx: 64, Batch: 64, UBatch: 64, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := ctx.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
