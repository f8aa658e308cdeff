package fim

import (
	"fmt"

	"github.com/qlora/qlora/internal/dataset"
)

// budget is how much a record of one file may hold.
type budget struct {
	Options
	bytes  int // of context, prefix, middle and suffix together
	middle int // bytes of a middle
}

// layoutTokens are set aside for the tokens between the parts of a record.
const layoutTokens = 8

// newBudget turns tokens into bytes by the file's own tokens, or an estimate.
func newBudget(text []byte, o Options) (*budget, error) {
	b := &budget{Options: o, bytes: o.MaxChars, middle: o.MaxMiddle}
	if o.MaxTokens == 0 {
		return b, nil
	}
	perToken := float64(bytesPerToken)
	if o.Counter != nil {
		n, err := o.Counter.Count(string(text))
		if err != nil {
			return nil, fmt.Errorf("count tokens: %w", err)
		}
		perToken = float64(len(text)) / float64(max(n, 1))
	}
	b.bytes = max(int(float64(o.MaxTokens-layoutTokens)*perToken), 1)
	b.middle = min(o.MaxMiddle, b.bytes/2)
	return b, nil
}

// fitted is a window and the files to show before it.
type fitted struct {
	from, to int
	files    []dataset.ContextFile
}

// fit chooses the window around s that leaves room for files. Where tokens
// can be counted it shrinks the window until all fits; it reports false when
// nothing does.
func (b *budget) fit(text []byte, s span, files []dataset.ContextFile) (fitted, bool, error) {
	limit, fixed := b.bytes, 0
	for _, f := range files {
		limit -= len(f.Content) + len(f.Path) + contextExtra
	}
	limit = max(limit, s.end-s.start)
	w := fitted{files: files}
	w.from, w.to = window(text, s, limit)
	if b.MaxTokens == 0 || b.Counter == nil {
		return w, true, nil
	}
	for _, f := range files {
		n, err := b.Counter.Count(f.Path + "\n" + f.Content + "\n")
		if err != nil {
			return w, false, fmt.Errorf("count tokens: %w", err)
		}
		fixed += n + 1
	}
	for {
		n, err := b.tokens(text[w.from:s.start], text[s.start:s.end], text[s.end:w.to])
		if err != nil {
			return w, false, err
		}
		if over := fixed + n + layoutTokens - b.MaxTokens; over <= 0 {
			return w, true, nil
		}
		if limit <= s.end-s.start {
			return w, false, nil
		}
		limit = max(limit*9/10, s.end-s.start)
		w.from, w.to = window(text, s, limit)
	}
}

func (b *budget) tokens(parts ...[]byte) (int, error) {
	sum := 0
	for _, p := range parts {
		n, err := b.Counter.Count(string(p))
		if err != nil {
			return 0, fmt.Errorf("count tokens: %w", err)
		}
		sum += n
	}
	return sum, nil
}
