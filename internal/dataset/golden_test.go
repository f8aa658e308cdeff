package dataset

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// TestTemplatesRenderAsInTransformers holds every template family to the text
// that transformers renders; see testdata/make_goldens.py.
func TestTemplatesRenderAsInTransformers(t *testing.T) {
	data, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Conversations map[string]json.RawMessage
		Goldens       []struct {
			Template, Conversation string
			Prompt                 bool `json:"add_generation_prompt"`
			Text, Error            *string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	rendered := map[string]int{}
	for _, g := range file.Goldens {
		c := goldenChat(t, file.Conversations[g.Conversation])
		tpl := testTemplate(t, g.Template)
		got, err := tpl.render(c.messages, c.tools, g.Prompt, map[string]string{"bos_token": "<s>", "eos_token": "</s>"})
		switch {
		case g.Text != nil && err != nil:
			t.Errorf("%s, %s: %v", g.Template, g.Conversation, err)
		case g.Text != nil && got != *g.Text:
			t.Errorf("%s, %s, prompt %v:\n%q, want\n%q", g.Template, g.Conversation, g.Prompt, got, *g.Text)
		case g.Error != nil && err == nil:
			t.Errorf("%s, %s: renders %q, want an error", g.Template, g.Conversation, got)
		case g.Text != nil:
			rendered[g.Template]++
		}
	}
	for _, name := range []string{"qwen2.5.jinja", "llama3.jinja", "llama3.1.jinja", "mistral-v0.3.jinja", "smollm2.jinja"} {
		if rendered[name] < 8 {
			t.Errorf("only %d goldens of %s", rendered[name], name)
		}
	}
}

// goldenChat reads a conversation as it stands: the goldens were rendered
// without the normalisation that records go through.
func goldenChat(t *testing.T, data []byte) *chat {
	t.Helper()
	v, err := jinja.DecodeJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	messages, _ := v.(*jinja.Dict).Get("messages")
	tools, _ := v.(*jinja.Dict).Get("tools")
	return &chat{messages: messages.([]any), tools: tools}
}

func testTemplate(t *testing.T, name string) *Template {
	t.Helper()
	tpl, err := ChooseTemplate(filepath.Join("testdata", "templates", name), "", "", testDay)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}
