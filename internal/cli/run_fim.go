package cli

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

// fimPrompt is a file cut in two at the place to complete.
type fimPrompt struct {
	prefix, suffix string
}

const fimHint = "name a file and a line of it, at whose end to go on: --fim main.go:12"

// readFIM reads FILE:LINE, lines counted from 1, and cuts the file at the end
// of that line.
func readFIM(arg string) (fimPrompt, error) {
	at := strings.LastIndexByte(arg, ':')
	if at <= 0 {
		return fimPrompt{}, ui.Fail(ui.ExitUsage, fmt.Errorf("--fim %q is not FILE:LINE", arg), fimHint)
	}
	line, err := strconv.Atoi(arg[at+1:])
	if err != nil || line < 1 {
		return fimPrompt{}, ui.Fail(ui.ExitUsage, fmt.Errorf("--fim %q: %q is not a line number from 1 on", arg, arg[at+1:]), fimHint)
	}
	data, err := os.ReadFile(arg[:at])
	if err != nil {
		return fimPrompt{}, ui.Fail(ui.ExitUsage, fmt.Errorf("read the file to complete: %w", err), fimHint)
	}
	cut, lines := endOfLine(data, line)
	if cut < 0 {
		return fimPrompt{}, ui.Fail(ui.ExitUsage, fmt.Errorf("--fim %s: the file has %s", arg, english.Plural(lines, "line", "")), fimHint)
	}
	return fimPrompt{prefix: string(data[:cut]), suffix: string(data[cut:])}, nil
}

// endOfLine returns the offset of the end of a line, before its line break;
// or -1 and the number of lines when there are fewer.
func endOfLine(data []byte, line int) (cut, lines int) {
	offset := 0
	for n := 1; ; n++ {
		end := bytes.IndexByte(data[offset:], '\n')
		switch {
		case n == line && end < 0:
			return len(data), n
		case n == line:
			return offset + len(bytes.TrimSuffix(data[offset:offset+end], []byte("\r"))), n
		case end < 0:
			return -1, n
		}
		offset += end + 1
	}
}

// tokens arranges prefix and suffix the way that models are trained on: prefix
// token, prefix, suffix token, suffix, middle token. Text far from the gap is
// left out when the context has no room for it.
func (f fimPrompt) tokens(c *llama.Context, predict int, s *ui.Streams) ([]int32, error) {
	v := c.Model().Vocab()
	special, err := dataset.FindFIM(v)
	if err != nil {
		return nil, ui.Fail(ui.ExitInvalid, err, "use a model trained for code completion, or continue text with --raw")
	}
	prefix, err := v.Encode(f.prefix, false)
	if err != nil {
		return nil, fmt.Errorf("text before the gap: %w", err)
	}
	suffix, err := v.Encode(f.suffix, false)
	if err != nil {
		return nil, fmt.Errorf("text after the gap: %w", err)
	}
	room := c.Options().Ctx - max(predict, 1) - 4
	if room < 0 {
		return nil, ui.Fail(ui.ExitUsage, fmt.Errorf("a context of %d tokens has no room for %d generated ones", c.Options().Ctx, predict),
			"ask for a larger context with --ctx-size, or for fewer tokens with -n")
	}
	before, after := fitAround(len(prefix), len(suffix), room)
	if dropped := len(prefix) + len(suffix) - before - after; dropped > 0 {
		s.Infof("qlora: %s far from the gap %s left out; a larger --ctx-size keeps more\n",
			english.Plural(dropped, "token", ""), english.PluralWord(dropped, "was", "were"))
	}
	return special.Prompt(v, prefix[len(prefix)-before:], suffix[:after]), nil
}

// fitAround shares room between the text before and after the gap: three
// quarters before, and what one side does not need goes to the other.
func fitAround(prefix, suffix, room int) (before, after int) {
	after = min(suffix, max(room/4, room-prefix))
	before = min(prefix, room-after)
	return before, after
}
