package serve

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/serve/engine"
)

// TestTemplatesOfFamilies renders a conversation with a call and its result
// through templates that models ship, and finds how they call.
func TestTemplatesOfFamilies(t *testing.T) {
	body := map[string]json.RawMessage{
		"messages": json.RawMessage(`[{"role":"user","content":"Is it warm?"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"call00001","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]},
			{"role":"tool","tool_call_id":"call00001","content":"20 C"}]`),
		"tools": json.RawMessage(`[{"type":"function","function":{"name":"weather","description":"tells the weather",
			"parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]`),
	}
	for name, want := range map[string]toolFamily{
		"qwen2.5": familyTags, "llama3.1": familyJSON, "mistral-v0.3": familyMistral, "smollm2": familyTags,
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile("../dataset/testdata/templates/" + name + ".jinja")
			if err != nil {
				t.Fatal(err)
			}
			f := &fields{raw: map[string]json.RawMessage{"messages": body["messages"], "tools": body["tools"]}}
			messages := readMessages(f)
			_, tools := readTools(f)
			if e := f.done(); e != nil {
				t.Fatal(e)
			}
			var all templates
			template := all.get(string(text))
			if template.err != nil {
				t.Fatal(template.err)
			}
			if template.family != want {
				t.Errorf("family %d, want %d", template.family, want)
			}
			prompt, e := template.render(engine.Info{BOS: "<s>", EOS: "</s>"}, messages, tools, nil)
			if e != nil {
				t.Fatal(e)
			}
			for _, part := range []string{"Is it warm?", "tells the weather", "Bern", "20 C"} {
				if !strings.Contains(prompt, part) {
					t.Errorf("the prompt lacks %q: %s", part, prompt)
				}
			}
		})
	}
}
