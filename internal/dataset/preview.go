package dataset

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/ui"
)

// previewTokens bounds a preview: this many tokens from the start and as many
// from the end.
const previewTokens = 400

// Preview shows a sample with its trained part marked: painted where colour
// may be used, between [[ and ]] elsewhere.
func Preview(s *Sample, t Tokenizer, streams *ui.Streams) string {
	var b strings.Builder
	n := len(s.Tokens)
	fmt.Fprintf(&b, "first sample (%s), %s, %d trained, marked %s:\n", s.Where(), english.Plural(n, "token", ""), s.Trained(), paintRun("so", true, streams))
	if n <= 2*previewTokens {
		writeRuns(&b, s.Tokens, s.Train, t, streams)
	} else {
		writeRuns(&b, s.Tokens[:previewTokens], s.Train[:previewTokens], t, streams)
		fmt.Fprintf(&b, "\n… %s …\n", english.Plural(n-2*previewTokens, "token", ""))
		writeRuns(&b, s.Tokens[n-previewTokens:], s.Train[n-previewTokens:], t, streams)
	}
	b.WriteByte('\n')
	return b.String()
}

func writeRuns(b *strings.Builder, tokens []int32, train []bool, t Tokenizer, streams *ui.Streams) {
	for start := 0; start < len(tokens); {
		end := start
		for end < len(tokens) && train[end] == train[start] {
			end++
		}
		b.WriteString(paintRun(printable(t.Decode(tokens[start:end])), train[start], streams))
		start = end
	}
}

func paintRun(text string, trained bool, streams *ui.Streams) string {
	switch {
	case streams.Color && trained:
		return streams.Paint(ui.Green, text)
	case streams.Color:
		return streams.Paint(ui.Dim, text)
	case trained:
		return "[[" + text + "]]"
	}
	return text
}

// printable keeps data from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}
