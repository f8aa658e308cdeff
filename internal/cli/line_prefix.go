package cli

import (
	"bytes"
	"io"
	"sync"
)

// linePrefix writes prefix before each line, and every line at once, so that
// those of several processes do not mix.
type linePrefix struct {
	to     io.Writer
	prefix string
	mu     sync.Mutex
	line   []byte // begun, not ended
}

// Write keeps the last line back until it ends.
func (p *linePrefix) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = append(p.line, b...)
	end := bytes.LastIndexByte(p.line, '\n') + 1
	var out []byte
	for line := range bytes.Lines(p.line[:end]) {
		out = append(append(out, p.prefix...), line...)
	}
	p.line = append([]byte(nil), p.line[end:]...)
	if len(out) == 0 {
		return len(b), nil
	}
	if _, err := p.to.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}
