package chatlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// templates are those of the data set, which transformers renders alike.
var templates = filepath.Join("..", "..", "dataset", "testdata", "templates")

// render writes a record the way transformers does.
func render(t *testing.T, template string, line []byte) (text string, messages []any) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(templates, template+".jinja"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jinja.Parse(string(source), func() time.Time { return time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) })
	if err != nil {
		t.Fatal(err)
	}
	v, err := jinja.DecodeJSON(line)
	if err != nil {
		t.Fatal(err)
	}
	record := v.(*jinja.Dict)
	list, _ := record.Get("messages")
	tools, _ := record.Get("tools")
	text, err = parsed.Render(map[string]any{
		"messages": list, "tools": tools, "add_generation_prompt": false, "bos_token": "<s>", "eos_token": "</s>",
	})
	if err != nil {
		t.Fatalf("%s: %v in %.2000s", template, err, line)
	}
	return text, list.([]any)
}

// records converts random sessions and returns the lines of the output.
func records(t *testing.T, seed uint64, o Options) [][]byte {
	t.Helper()
	files, _, _ := corpus(seed, 0)
	var lines [][]byte
	for line := range bytes.Lines(output(t, o, files...)) {
		lines = append(lines, line)
	}
	return lines
}

// Everything that comes out renders, and every word of it is there, in order.
func TestTemplatesRender(t *testing.T) {
	for _, tt := range []struct {
		template string
		calls    bool // the template writes calls
		o        Options
	}{
		{"qwen2.5", true, Options{}}, {"llama3", false, Options{}}, {"smollm2", false, Options{}},
		{"qwen2.5", true, Options{Thinking: ThinkingField, System: "Be brief."}}, {"smollm2", false, Options{Thinking: ThinkingTags}},
		{"llama3.1", true, Options{SplitCalls: true}}, {"mistral-v0.3", true, Options{SplitCalls: true}},
		{"qwen2.5", true, Options{Window: 900}},
	} {
		for seed := range uint64(40) {
			for _, line := range records(t, seed, tt.o) {
				text, messages := render(t, tt.template, line)
				for i, m := range messages {
					var err error
					if text, err = after(text, m.(*jinja.Dict), tt.calls); err != nil {
						t.Fatalf("seed %d, %s, message %d: %v\n%s", seed, tt.template, i, err, line)
					}
				}
			}
		}
	}
}

// after returns what follows a message in a rendering.
func after(text string, m *jinja.Dict, calls bool) (string, error) {
	content, _ := m.Get("content")
	words := strings.TrimSpace(content.(string))
	list, has := m.Get("tool_calls")
	if !has || !calls {
		_, rest, found := strings.Cut(text, words)
		if role, _ := m.Get("role"); !found && role != RoleTool { // results may be quoted
			return "", fmt.Errorf("%q is missing in %q", words, text)
		}
		return rest, nil
	}
	for _, c := range list.([]any) {
		function, _ := c.(*jinja.Dict).Get("function")
		name, _ := function.(*jinja.Dict).Get("name")
		arguments, _ := function.(*jinja.Dict).Get("arguments")
		z, _ := arguments.(*jinja.Dict).Get("z")
		serial, _, _ := strings.Cut(z.(string), " ")
		for _, want := range []string{name.(string), serial} {
			var found bool
			if _, text, found = strings.Cut(text, want); !found {
				return "", fmt.Errorf("call of %s(%s) is missing", name, serial)
			}
		}
	}
	return text, nil
}
