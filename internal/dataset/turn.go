package dataset

import (
	"errors"
	"fmt"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// RenderChat writes a chat as the model sees it, with the turn of the assistant
// opened at the end. messages and tools are JSON lists in the form of OpenAI's
// API; no tools at all are an empty text. special holds the texts of bos_token
// and eos_token. It is an error when the template refuses the chat.
func (t *Template) RenderChat(messages, tools []byte, special map[string]string) (string, error) {
	list, err := decodeList("messages", messages)
	if err != nil {
		return "", err
	}
	if len(tools) == 0 {
		return t.render(list, nil, true, special)
	}
	offered, err := decodeList("tools", tools)
	if err != nil {
		return "", err
	}
	return t.render(list, offered, true, special)
}

func decodeList(what string, text []byte) ([]any, error) {
	v, err := jinja.DecodeJSON(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New(what + " is not a list")
	}
	return list, nil
}
