package llama_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

func TestSetLog(t *testing.T) {
	var mu sync.Mutex
	lines := map[llama.Level][]string{}
	record := func(level llama.Level, line string) {
		mu.Lock()
		defer mu.Unlock()
		lines[level] = append(lines[level], line)
	}
	defer llama.SetLog(llama.LevelWarn, nil)
	llama.SetLog(llama.LevelInfo, record)
	tiny(t, llamatest.Options{})
	mu.Lock()
	defer mu.Unlock()
	if !slices.ContainsFunc(lines[llama.LevelInfo], func(s string) bool { return strings.Contains(s, "general.name") }) {
		t.Errorf("loading a model at level info logged %d lines, none with its name", len(lines[llama.LevelInfo]))
	}
	if len(lines[llama.LevelDebug]) > 0 {
		t.Errorf("debug lines at level info: %q", lines[llama.LevelDebug])
	}
	for level, of := range lines {
		for _, line := range of {
			if strings.Contains(line, "\n") || strings.TrimSpace(line) == "" {
				t.Errorf("level %d: line %q", level, line)
			}
		}
	}
}
