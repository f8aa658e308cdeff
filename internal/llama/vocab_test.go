package llama_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

func TestEncodeDecode(t *testing.T) {
	v := tiny(t, llamatest.Options{}).Vocab()
	for _, text := range []string{"the function", "", " ", "a\x00b", "naïve 漢字 \U0001F600", "\n\t func main() {}\n", "<|im_end|>", strings.Repeat("the re ", 3000)} {
		for _, special := range []bool{false, true} {
			tokens, err := v.Encode(text, special)
			if err != nil {
				t.Fatalf("encode %q: %v", text, err)
			}
			if got := v.Decode(tokens); got != text {
				t.Errorf("special %t: %q became %q", special, text, got)
			}
		}
	}
}

func TestEncodeKnowsMergesAndControlTokens(t *testing.T) {
	v := tiny(t, llamatest.Options{}).Vocab()
	the, ok := v.Lookup("Ġthe")
	if !ok {
		t.Fatal("Ġthe is not in the vocabulary")
	}
	tokens, err := v.Encode("x the", false)
	if err != nil || !slices.Equal(tokens, []int32{llamatest.ByteToken('x'), the}) {
		t.Errorf("x the: %v, %v", tokens, err)
	}
	tokens, _ = v.Encode("x<|im_end|>", true)
	if !slices.Equal(tokens, []int32{llamatest.ByteToken('x'), llamatest.TurnEnd}) {
		t.Errorf("with control tokens: %v", tokens)
	}
	tokens, _ = v.Encode("x<|im_end|>", false)
	if slices.Contains(tokens, llamatest.TurnEnd) || len(tokens) < 8 {
		t.Errorf("without control tokens: %v", tokens)
	}
}

func TestSpecialTokens(t *testing.T) {
	v := tiny(t, llamatest.Options{}).Vocab()
	got := []int32{v.BOS(), v.EOS(), v.EOT(), v.FIMPrefix(), v.FIMSuffix(), v.FIMMiddle(), v.FIMPad(), v.FIMRepo(), v.FIMSep()}
	want := []int32{llamatest.EndOfText, llamatest.EndOfText, llamatest.TurnEnd, llamatest.FIMPrefix, llamatest.FIMSuffix,
		llamatest.FIMMiddle, llamatest.FIMPad, llamatest.Repo, llamatest.FileSep}
	if !slices.Equal(got, want) {
		t.Errorf("special tokens %v, want %v", got, want)
	}
	if v.AddBOS() {
		t.Error("the file says no BOS")
	}
	if !v.EndsGeneration(llamatest.TurnEnd) || v.EndsGeneration(llamatest.ByteToken('a')) {
		t.Error("end of generation is wrong")
	}
	if got := v.Text([]int32{llamatest.TurnStart, llamatest.ByteToken('a'), llamatest.TurnEnd}); got != "a" {
		t.Errorf("text without control tokens: %q", got)
	}
	none := tiny(t, llamatest.Options{NoFIM: true}).Vocab()
	if none.FIMPrefix() != -1 || none.FIMSuffix() != -1 || none.FIMMiddle() != -1 {
		t.Errorf("fill-in-the-middle tokens of a model without them: %d %d %d", none.FIMPrefix(), none.FIMSuffix(), none.FIMMiddle())
	}
}

func TestLookupIsExact(t *testing.T) {
	v := tiny(t, llamatest.Options{}).Vocab()
	if id, ok := v.Lookup("<|im_start|>"); !ok || id != llamatest.TurnStart {
		t.Errorf("<|im_start|>: %d, %t", id, ok)
	}
	for _, piece := range []string{"", "<|im_start", " the", "no such piece"} {
		if id, ok := v.Lookup(piece); ok {
			t.Errorf("%q was found as %d", piece, id)
		}
	}
}

func TestDecodeSkipsUnknownIds(t *testing.T) {
	v := tiny(t, llamatest.Options{}).Vocab()
	a, b := llamatest.ByteToken('a'), llamatest.ByteToken('b')
	if got := v.Decode([]int32{-1, a, 1 << 30, int32(v.Size()), b}); got != "ab" {
		t.Errorf("decoded %q", got)
	}
}

func TestEncodeConcurrently(t *testing.T) {
	v := tiny(t, llamatest.Options{}).Vocab()
	want, err := v.Encode("in the function", true)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				got, err := v.Encode("in the function", true)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("got %v, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestTextStreamHoldsBackUnfinishedRunes(t *testing.T) {
	v := tiny(t, llamatest.Options{}).Vocab()
	s := llama.NewTextStream(v)
	var parts []string
	for _, b := range []byte("a漢é\xff!\xe6") {
		if text := s.Add(llamatest.ByteToken(b)); text != "" {
			parts = append(parts, text)
		}
	}
	parts = append(parts, s.Add(llamatest.TurnEnd), s.Flush())
	if want := []string{"a", "漢", "é", "\xff", "!", "", "\xe6"}; !slices.Equal(parts, want) {
		t.Errorf("parts %q, want %q", parts, want)
	}
}
