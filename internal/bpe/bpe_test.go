package bpe

import (
	"fmt"
	"go/build"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// llama3 is the published rule of the pre-tokeniser, for an independent engine.
const llama3 = `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

func regexpSplit(t *testing.T, text string) (words []string) {
	t.Helper()
	re := regexp2.MustCompile(llama3, regexp2.None)
	m, err := re.FindStringMatch(text)
	for ; m != nil && err == nil; m, err = re.FindNextMatch(m) {
		words = append(words, m.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func TestSplitFollowsThePublishedRule(t *testing.T) {
	texts := []string{
		"", " ", "\n", "a", "don't WE'LL 'S'd x'y 'sx", "func main() {\n\t\tif x := 12345; x > 0 {\r\n\r\n  \n   y()\n\t}\n}\n",
		"   lead", "trail   ", "a\u00a0b \u2003c", "日本語 テスト１２３ é́ x", "// ======\n\n\n\tx", "1234567 a1b2", " \n \n a", "\"s\\n\"", " 's",
	}
	for _, text := range texts {
		if got, want := slices.Collect(Split(text)), regexpSplit(t, text); !slices.Equal(got, want) {
			t.Errorf("Split(%q)\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestSplitFollowsThePublishedRuleOnRandomText(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	alphabet := []rune("aBsStTlLrReEdm019 \t\n\r  \n'\".,;{}()=\u00a0é語٣ \u2028_-")
	for i := range 3000 {
		runes := make([]rune, rng.IntN(24))
		for j := range runes {
			runes[j] = alphabet[rng.IntN(len(alphabet))]
		}
		text := string(runes)
		if got, want := slices.Collect(Split(text)), regexpSplit(t, text); !slices.Equal(got, want) {
			t.Fatalf("seed %d, text %d: Split(%q)\n got %q\nwant %q", seed, i, text, got, want)
		}
	}
}

func TestSpellIsGPT2sAlphabet(t *testing.T) {
	// Facts of GPT-2's vocabulary: space is Ġ, line feed Ċ, tab ĉ, byte 0xAD ł-block's last rune U+0143.
	for raw, want := range map[string]string{" the": "Ġthe", "\n": "Ċ", "\t": "ĉ", "\xad": "\u0143", "\x00": "Ā", "é": "Ã©"} {
		if got := Spell(raw); got != want {
			t.Errorf("Spell(%q) = %q, want %q", raw, got, want)
		}
	}
	for b := range 256 {
		raw := string([]byte{byte(b)})
		if got := Unspell(Spell(raw)); got != raw {
			t.Errorf("byte %#x comes back as %q", b, got)
		}
	}
}

// naiveMerges learns merges by recounting everything at every step.
func naiveMerges(counts map[string]int64, n int) (merges []pair) {
	words, weights := [][]int32{}, []int64{}
	for text, c := range counts {
		ids := []int32{}
		for i := range len(text) {
			ids = append(ids, int32(text[i]))
		}
		words, weights = append(words, ids), append(weights, c)
	}
	for id := int32(256); len(merges) < n; id++ {
		pairs := map[pair]int64{}
		for i, w := range words {
			for j := 1; j < len(w); j++ {
				pairs[pair{w[j-1], w[j]}] += weights[i]
			}
		}
		best := pairQueue{}
		for p, c := range pairs {
			best = append(best, scored{p, c})
		}
		slices.SortFunc(best, func(a, b scored) int {
			if (pairQueue{a, b}).Less(0, 1) {
				return -1
			}
			return 1
		})
		merges = append(merges, best[0].pair)
		for i, w := range words {
			words[i] = replace(w, best[0].pair, id)
		}
	}
	return merges
}

func TestTrainEqualsRecounting(t *testing.T) {
	text := source(t, "train.go") + source(t, "split.go") + strings.Repeat("aaaaaaa abababab\n", 30)
	tr := NewTrainer()
	tr.Add(text)
	const merges = 300
	got, err := tr.Train(256+merges+1, []string{"<|end|>"})
	if err != nil {
		t.Fatal(err)
	}
	want := newVocab(naiveMerges(tr.counts, merges), []string{"<|end|>"})
	if !slices.Equal(got.Merges, want.Merges) {
		for i := range got.Merges {
			if got.Merges[i] != want.Merges[i] {
				t.Fatalf("merge %d is %q, recounting gives %q", i, got.Merges[i], want.Merges[i])
			}
		}
	}
	if id, ok := got.Special("<|end|>"); !ok || int(id) != got.Size()-1 || got.Types[id] != Control {
		t.Errorf("special token: id %d, found %v, type %d", id, ok, got.Types[id])
	}
}

func TestTrainIsIndependentOfOrder(t *testing.T) {
	a, b := NewTrainer(), NewTrainer()
	files := []string{source(t, "train.go"), source(t, "split.go"), source(t, "encode.go")}
	for i := range files {
		a.Add(files[i])
		b.Add(files[len(files)-1-i])
	}
	va, errA := a.Train(600, nil)
	vb, errB := b.Train(600, nil)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if !slices.Equal(va.Tokens, vb.Tokens) {
		t.Error("the order of the texts changed the vocabulary")
	}
}

func TestTrainRefuses(t *testing.T) {
	tr := NewTrainer()
	tr.Add("ab")
	for size, want := range map[int]string{100: "cannot hold", 300: "add text"} {
		if _, err := tr.Train(size, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Train(%d) = %v, want an error that says %q", size, err, want)
		}
	}
}

func TestPiecesAreShort(t *testing.T) {
	tr := NewTrainer()
	tr.Add(strings.Repeat(strings.Repeat("=", 200)+"\n", 50))
	v, err := tr.Train(256+5, nil)
	if err != nil {
		t.Fatal(err)
	}
	if longest := v.Tokens[v.Size()-1]; longest != strings.Repeat("=", MaxPiece) {
		t.Errorf("the fifth doubling is %q, want %d equals signs", longest, MaxPiece)
	}
	if v, err := tr.Train(256+40, nil); err == nil {
		t.Errorf("a rule of equals signs made %d tokens", v.Size())
	}
}

func encoder(t *testing.T) *Encoder {
	t.Helper()
	tr := NewTrainer()
	for _, f := range []string{"train.go", "split.go", "encode.go", "bpe_test.go"} {
		tr.Add(source(t, f))
	}
	v, err := tr.Train(800, []string{"<|a|>", "<|a|>b", "<|end|>"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(v)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEncodeRoundTrip(t *testing.T) {
	e := encoder(t)
	for _, text := range []string{"", "x", source(t, "vocab.go"), "日本語\r\n\x00\t ", "<|end|> stays text"} {
		ids := e.Encode(text, false)
		if got := e.Decode(ids); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
		if text == source(t, "vocab.go") && len(ids)*2 > len(text) {
			t.Errorf("%d tokens for %d bytes of Go: the merges are not applied", len(ids), len(text))
		}
	}
	if got := e.Decode(e.Encode("a\xffb", false)); got != "a\uFFFDb" {
		t.Errorf("an invalid byte becomes %q", got)
	}
}

func TestEncodeSpecials(t *testing.T) {
	e := encoder(t)
	end, longer := e.specials["<|end|>"], e.specials["<|a|>b"]
	ids := e.Encode("x<|end|><|a|>b", true)
	if want := []int32{e.ids["x"], end, longer}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if slices.Contains(e.Encode("x<|end|>", false), end) {
		t.Error("plain text became a special token")
	}
}

func TestNewEncoderRefusesForeignMerges(t *testing.T) {
	for _, merge := range []string{"q", " q", "q ", "q qq", "zz q"} {
		v := newVocab(nil, nil)
		v.Merges = []string{merge}
		if _, err := NewEncoder(v); err == nil {
			t.Errorf("merge %q was accepted", merge)
		}
	}
}

func source(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func FuzzSplit(f *testing.F) {
	f.Add("func f() {\n\treturn 'a'\n}\n")
	f.Add("\xff \n'LL 1234")
	f.Fuzz(func(t *testing.T, text string) {
		text = Clean(text)
		if !utf8.ValidString(text) {
			t.Fatalf("Clean left invalid UTF-8 in %q", text)
		}
		var all strings.Builder
		for w := range Split(text) {
			if w == "" {
				t.Fatal("empty word")
			}
			all.WriteString(w)
		}
		if all.String() != text {
			t.Fatalf("the words of %q make %q", text, all.String())
		}
	})
}

func BenchmarkTrain(b *testing.B) {
	files, err := filepath.Glob(filepath.Join(build.Default.GOROOT, "src", "net", "http", "*.go"))
	if err != nil || len(files) == 0 {
		b.Skipf("no Go sources to train on: %v", err)
	}
	for b.Loop() {
		tr := NewTrainer()
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				b.Fatal(err)
			}
			tr.Add(string(text))
		}
		if _, err := tr.Train(4096, nil); err != nil {
			b.Fatal(fmt.Errorf("train on %d files: %w", len(files), err))
		}
	}
}
