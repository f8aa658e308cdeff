package jinja

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// FuzzTemplate looks for templates that panic: they come from model files.
func FuzzTemplate(f *testing.F) {
	data, err := os.ReadFile("testdata/snippets.json")
	if err != nil {
		f.Fatal(err)
	}
	var file struct {
		Vars     json.RawMessage
		Snippets []struct{ Template string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		f.Fatal(err)
	}
	for _, s := range file.Snippets {
		f.Add(s.Template)
	}
	v, err := DecodeJSON(file.Vars)
	if err != nil {
		f.Fatal(err)
	}
	vars := map[string]any{}
	for _, k := range v.(*Dict).Keys() {
		vars[k], _ = v.(*Dict).Get(k)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if strings.Count(source, "range") > 1 || len(source) > 4096 {
			t.Skip("nested ranges are slow, not wrong")
		}
		tpl, err := Parse(source, nil)
		if err != nil {
			return
		}
		if _, err := tpl.Render(vars); err != nil && err.Error() == "" {
			if _, ok := err.(*Raised); !ok {
				t.Errorf("%q fails without a message", source)
			}
		}
	})
}

func TestHostileTemplates(t *testing.T) {
	for name, source := range map[string]string{
		"deep parentheses": "{{ " + strings.Repeat("(", 100_000),
		"deep blocks":      strings.Repeat("{% if 1 %}", 100_000),
		"deep lists":       "{{ " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + " }}",
		"deep unary":       "{{ " + strings.Repeat("-", 100_000) + "1 }}",
		"deep not":         "{{ " + strings.Repeat("not ", 100_000) + "1 }}",
		"endless macro":    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
		"huge range":       "{{ range(1000000000) }}",
		"huge string":      "{{ 'x' * 1000000000 }}",
		"huge slice step":  "{{ 'abc'[::9223372036854775807] }}{{ 'abc'[::-9223372036854775807] }}{{ x.y }}",
		"range end":        "{{ range(9223372036854775806, 9223372036854775807, 5) }}{{ x.y }}",
	} {
		if out, err := renderString(source, map[string]any{}); err == nil {
			t.Errorf("%s: renders %.40q, want an error", name, out)
		}
	}
}
