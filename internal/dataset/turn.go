package dataset

import "github.com/qlora/qlora/internal/dataset/jinja"

// Turn is a plain message of a chat.
type Turn struct{ Role, Content string }

// RenderTurns writes turns as the model sees them, with the turn of the
// assistant opened at the end. special holds the texts of bos_token and
// eos_token. It is an error when the template refuses the turns.
func (t *Template) RenderTurns(turns []Turn, special map[string]string) (string, error) {
	messages := make([]any, len(turns))
	for i, turn := range turns {
		d := jinja.NewDict()
		d.Set("role", turn.Role)
		d.Set("content", turn.Content)
		messages[i] = d
	}
	return t.render(messages, nil, true, special)
}
