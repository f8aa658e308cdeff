package cli

import (
	"fmt"

	"github.com/qlora/qlora/internal/dataset/jinja"
	"github.com/qlora/qlora/internal/llama"
)

// renderChat puts a prompt into the chat template of m, ready for the answer.
func renderChat(m *llama.Model, system, prompt string) (string, error) {
	template, err := jinja.Parse(m.ChatTemplate(), nil)
	if err != nil {
		return "", fmt.Errorf("chat template of %s: %w", m.Path(), err)
	}
	var messages []any
	add := func(role, content string) {
		message := jinja.NewDict()
		message.Set("role", role)
		message.Set("content", content)
		messages = append(messages, message)
	}
	if system != "" {
		add("system", system)
	}
	add("user", prompt)
	vars := map[string]any{"messages": messages, "tools": nil, "add_generation_prompt": true}
	v := m.Vocab()
	for name, id := range map[string]int32{"bos_token": v.BOS(), "eos_token": v.EOS()} {
		if id >= 0 { // a token that the model lacks stays undefined, as in training
			vars[name] = v.Decode([]int32{id})
		}
	}
	text, err := template.Render(vars)
	if err != nil {
		return "", fmt.Errorf("chat template of %s: %w", m.Path(), err)
	}
	return text, nil
}
