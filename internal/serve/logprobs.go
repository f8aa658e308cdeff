package serve

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/qlora/qlora/internal/serve/engine"
)

// chatLogprobs are probabilities as chats tell them.
type chatLogprobs struct {
	Content []tokenLogprob `json:"content"`
}

type tokenLogprob struct {
	Token   string         `json:"token"`
	Logprob float64        `json:"logprob"`
	Bytes   []int          `json:"bytes"`
	Top     []tokenLogprob `json:"top_logprobs,omitempty"`
}

// least stands for the logarithm of nothing, which JSON has not.
const least = -9999.0

func chatProbs(list []engine.Logprob) *chatLogprobs {
	if len(list) == 0 {
		return nil
	}
	out := &chatLogprobs{}
	for _, p := range list {
		t := oneProb(p.Token, p.Logprob)
		t.Top = []tokenLogprob{}
		for _, a := range p.Top {
			t.Top = append(t.Top, oneProb(a.Token, a.Logprob))
		}
		out.Content = append(out.Content, t)
	}
	return out
}

func oneProb(token string, logprob float64) tokenLogprob {
	bytes := make([]int, len(token))
	for i := range len(token) {
		bytes[i] = int(token[i])
	}
	return tokenLogprob{Token: token, Logprob: finite(logprob), Bytes: bytes}
}

func finite(x float64) float64 {
	if math.IsNaN(x) || x < least {
		return least
	}
	return x
}

// textLogprobs are probabilities as completions tell them.
type textLogprobs struct {
	Tokens   []string             `json:"tokens"`
	Logprobs []float64            `json:"token_logprobs"`
	Top      []map[string]float64 `json:"top_logprobs"`
	Offsets  []int                `json:"text_offset"` // characters of the answer before each
}

// add appends tokens that begin after offset characters and returns where the
// next one does. A token that is part of a character counts where it begins one.
func (l *textLogprobs) add(list []engine.Logprob, offset int) int {
	for _, p := range list {
		top := map[string]float64{}
		for _, a := range p.Top {
			top[textToken(a.Token)] = finite(a.Logprob)
		}
		l.Tokens = append(l.Tokens, textToken(p.Token))
		l.Logprobs = append(l.Logprobs, finite(p.Logprob))
		l.Top = append(l.Top, top)
		l.Offsets = append(l.Offsets, offset)
		for i := range len(p.Token) {
			if utf8.RuneStart(p.Token[i]) {
				offset++
			}
		}
	}
	return offset
}

// textToken spells a token as OpenAI's completions do, where parts of characters
// have no text: as "bytes:\xe2\x82". Otherwise they would all look the same.
func textToken(token string) string {
	if utf8.ValidString(token) {
		return token
	}
	var b strings.Builder
	b.WriteString("bytes:")
	for i := range len(token) {
		if c := token[i]; c >= ' ' && c < 0x7f {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}
