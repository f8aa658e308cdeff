package dataset

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestOverLength(t *testing.T) {
	text := `{"text":"0123456789"}` // 11 tokens with its end
	fim := `{"prefix":"0123456789","suffix":"abcdefgh","middle":"m"}`
	completion := `{"prompt":"01234567","completion":"ab"}`
	for _, c := range []struct {
		line   string
		policy OverLength
		max    int
		want   []string
		lost   int
	}{
		{text, OverTruncate, 11, []string{"[[0123456789<|endoftext|>]]"}, 0},
		{text, OverTruncate, 4, []string{"[[0123]]"}, 7},
		{text, OverDrop, 4, nil, 11},
		{text, OverSplit, 4, []string{"[[0123]]", "3[[456]]", "6[[789]]", "9[[<|endoftext|>]]"}, 0},
		{fim, OverTruncate, 13, []string{"<|fim_prefix|>456789<|fim_suffix|>ab<|fim_middle|>[[m<|endoftext|>]]"}, 10},
		{fim, OverTruncate, 5, []string{"<|fim_prefix|><|fim_suffix|><|fim_middle|>[[m<|endoftext|>]]"}, 18},
		{fim, OverTruncate, 4, nil, 23},
		{completion, OverTruncate, 9, []string{"01234567[[a]]"}, 2},
		{completion, OverTruncate, 8, nil, 11}, // nothing trained would be left
	} {
		got, out, err := buildLine(t, chatFake(), LoadOptions{OverLength: c.policy, MaxLength: c.max}, c.line)
		if err != nil || !slices.Equal(got, c.want) || out.lost != c.lost {
			t.Errorf("%s to %d by %s: %q, lost %d, %v; want %q, lost %d", c.line, c.max, c.policy, got, out.lost, err, c.want, c.lost)
		}
	}
	for _, line := range []string{text, fim, completion} {
		_, _, err := buildLine(t, chatFake(), LoadOptions{OverLength: OverError, MaxLength: 4}, line)
		if !errors.Is(err, errOverLength) {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, line := range []string{fim, completion} {
		if _, _, err := buildLine(t, chatFake(), LoadOptions{OverLength: OverSplit, MaxLength: 4}, line); err == nil {
			t.Errorf("%s was split", line)
		}
	}
}

func TestSplitTextWithBOS(t *testing.T) {
	tok := chatFake()
	tok.addBOS = true
	got, _, err := buildLine(t, tok, LoadOptions{OverLength: OverSplit, MaxLength: 4}, `{"text":"01234"}`)
	if want := []string{"<s>[[012]]", "<s>[[34<|endoftext|>]]"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// However a text is split, each of its tokens is predicted exactly once, the
// very first one aside.
func TestSplitTextTrainsEveryTokenOnce(t *testing.T) {
	for trial := range 200 {
		seed := uint64(trial) + 1
		r := rand.New(rand.NewPCG(seed, 9))
		tok := chatFake()
		tok.addBOS = r.IntN(2) == 0
		n, limit := 1+r.IntN(200), 2+r.IntN(30)
		text := strings.Repeat("x", n)
		_, out, err := buildLine(t, tok, LoadOptions{OverLength: OverSplit, MaxLength: limit}, `{"text":"`+text+`"}`)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		trained := 0
		for _, s := range out.samples {
			if len(s.tokens) > limit {
				t.Fatalf("seed %d: window of %d tokens, limit %d", seed, len(s.tokens), limit)
			}
			sample := Sample{Tokens: s.tokens, Train: s.train}
			trained += sample.Trained()
		}
		want := n + 1 // with the end token
		if !tok.addBOS {
			want-- // nothing stands before the first
		}
		if trained != want {
			t.Fatalf("seed %d: %d tokens trained, want %d (length %d, limit %d, BOS %v)", seed, trained, want, n, limit, tok.addBOS)
		}
	}
}

func TestSplitChat(t *testing.T) {
	o := LoadOptions{Template: testTemplate(t, "smollm2.jinja"), OverLength: OverSplit}
	var turns []string
	for i := range 5 {
		turns = append(turns, fmt.Sprintf(`{"role":"user","content":"u%d"},{"role":"assistant","content":"a%d"}`, i, i))
	}
	line := `{"messages":[{"role":"system","content":"S"},` + strings.Join(turns, ",") + `]}`
	system := "<|im_start|>system\nS<|im_end|>\n"
	exchange := func(i int) string {
		return fmt.Sprintf("<|im_start|>user\nu%d<|im_end|>\n<|im_start|>assistant\n[[a%d<|im_end|>]]\n", i, i)
	}
	tok := chatFake()
	tokens := func(s string) int {
		n, _ := tok.Encode(strings.NewReplacer("[[", "", "]]", "").Replace(s), true)
		return len(n)
	}
	o.MaxLength = tokens(system + exchange(0) + exchange(1))
	got, _, err := buildLine(t, tok, o, line)
	want := []string{system + exchange(0) + exchange(1), system + exchange(2) + exchange(3), system + exchange(4)}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("split into\n%q, %v, want\n%q", got, err, want)
	}
	o.MaxLength = tokens(system+exchange(0)) - 1
	if _, _, err := buildLine(t, tok, o, line); err == nil || !strings.Contains(err.Error(), "exchange 1") {
		t.Errorf("an exchange that does not fit: %v", err)
	}
}
