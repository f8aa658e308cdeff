package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// The snippets were rendered by the Jinja environment of transformers; see
// ../testdata/make_goldens.py.
func TestSnippetsRenderAsInTransformers(t *testing.T) {
	data, err := os.ReadFile("testdata/snippets.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vars     json.RawMessage
		Snippets []struct {
			Template    string
			Text, Error *string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	vars := testVars(t, file.Vars)
	for _, s := range file.Snippets {
		got, err := renderString(s.Template, vars)
		switch {
		case s.Error != nil && err == nil:
			t.Errorf("%q renders %q, want an error", s.Template, got)
		case s.Text != nil && err != nil:
			t.Errorf("%q: %v, want %q", s.Template, err, *s.Text)
		case s.Text != nil && got != *s.Text:
			t.Errorf("%q renders\n%q, want\n%q", s.Template, got, *s.Text)
		}
		var raised *Raised
		if s.Error != nil && *s.Error != "" && (!errors.As(err, &raised) || raised.Message != *s.Error) {
			t.Errorf("%q fails with %v, want the template's own %q", s.Template, err, *s.Error)
		}
	}
	if len(file.Snippets) < 100 {
		t.Errorf("only %d snippets", len(file.Snippets))
	}
}

func testVars(t *testing.T, data []byte) map[string]any {
	t.Helper()
	v, err := DecodeJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{}
	for _, k := range v.(*Dict).Keys() {
		vars[k], _ = v.(*Dict).Get(k)
	}
	return vars
}

func renderString(source string, vars map[string]any) (string, error) {
	tpl, err := Parse(source, nil)
	if err != nil {
		return "", err
	}
	return tpl.Render(vars)
}
