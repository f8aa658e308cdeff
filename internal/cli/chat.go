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
	v := m.Vocab()
	text, err := template.Render(map[string]any{
		"messages": messages, "add_generation_prompt": true,
		"bos_token": v.Decode([]int32{v.BOS()}), "eos_token": v.Decode([]int32{v.EOS()}),
	})
	if err != nil {
		return "", fmt.Errorf("chat template of %s: %w", m.Path(), err)
	}
	return text, nil
}
