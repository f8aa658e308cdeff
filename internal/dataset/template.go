package dataset

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

//go:embed templates/*.jinja
var namedTemplates embed.FS

// Template is a chat template together with the place it came from, which
// errors name.
type Template struct {
	Source string // "model.gguf", a file, "inline" or the name of a built-in one
	jinja  *jinja.Template
	dated  *atomic.Bool // the template asked for the date
	calls  *callProbe
}

// TemplateNames lists the built-in chat templates.
func TemplateNames() []string {
	entries, _ := namedTemplates.ReadDir("templates") // an embedded folder that exists
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".jinja"))
	}
	slices.Sort(names)
	return names
}

// ChooseTemplate finds the chat template of a run. Override is what the user
// gave: the name of a built-in template, the path of a file, or the template
// itself; empty, it leaves the choice to the model, whose template (empty when
// it has none) comes with the model's path. The result is nil when there is
// none: files without chats do not need one. Now is the date that templates
// may print; fix it to repeat a run exactly.
func ChooseTemplate(override, ofModel, modelPath string, now time.Time) (*Template, error) {
	switch {
	case override == "" && ofModel == "":
		return nil, nil
	case override == "":
		return NewTemplate(modelPath, ofModel, now)
	case isInline(override):
		return NewTemplate("inline", override, now)
	}
	text, err := TemplateText(override)
	if err != nil {
		return nil, err
	}
	return NewTemplate(override, text, now)
}

func isInline(template string) bool {
	return strings.Contains(template, "{{") || strings.Contains(template, "{%")
}

// TemplateText is the text of a template that is given as ChooseTemplate takes
// it: by name, by file or as it is.
func TemplateText(given string) (string, error) {
	if given == "" || isInline(given) {
		return given, nil
	}
	if slices.Contains(TemplateNames(), given) {
		text, err := namedTemplates.ReadFile(path.Join("templates", given+".jinja"))
		if err != nil {
			return "", fmt.Errorf("read built-in chat template %s: %w", given, err)
		}
		return string(text), nil
	}
	text, err := os.ReadFile(given)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("chat template %q is no file and no built-in template (%s)",
			given, strings.Join(TemplateNames(), ", "))
	}
	if err != nil {
		return "", fmt.Errorf("read chat template: %w", err)
	}
	return string(text), nil
}

// NewTemplate parses a chat template.
func NewTemplate(source, text string, now time.Time) (*Template, error) {
	dated := &atomic.Bool{}
	parsed, err := jinja.Parse(text, func() time.Time {
		dated.Store(true)
		return now
	})
	if err != nil {
		return nil, fmt.Errorf("chat template of %s: %w", source, err)
	}
	return &Template{Source: source, jinja: parsed, dated: dated, calls: &callProbe{}}, nil
}

// UsesDate reports whether a rendering has asked for the date, which makes
// the tokens of a run depend on the day.
func (t *Template) UsesDate() bool { return t.dated.Load() }

// render writes messages as the model sees them. Prompt opens the turn of the
// assistant at the end.
func (t *Template) render(messages []any, tools any, prompt bool, special map[string]string) (string, error) {
	vars := map[string]any{"messages": messages, "tools": tools, "add_generation_prompt": prompt}
	for name, text := range special {
		vars[name] = text
	}
	text, err := t.jinja.Render(vars)
	if err != nil {
		return "", fmt.Errorf("chat template of %s: %w", t.Source, err)
	}
	return text, nil
}

// callProbe remembers whether a template writes tool calls.
type callProbe struct {
	once    sync.Once
	renders bool
}

// rendersCalls reports whether the template writes the tool calls of an
// assistant turn, by rendering one. A template that refuses the probe is taken
// to write them: it will refuse real ones by itself.
func (t *Template) rendersCalls(special map[string]string) bool {
	t.calls.once.Do(func() {
		const name = "probe_of_calls"
		call := jinja.NewDict()
		call.Set("name", name)
		call.Set("arguments", jinja.NewDict())
		wrapped := jinja.NewDict()
		wrapped.Set("id", "probe0001")
		wrapped.Set("type", "function")
		wrapped.Set("function", call)
		user, assistant := jinja.NewDict(), jinja.NewDict()
		user.Set("role", "user")
		user.Set("content", "a")
		assistant.Set("role", "assistant")
		assistant.Set("content", "")
		assistant.Set("tool_calls", []any{wrapped})
		text, err := t.render([]any{user, assistant}, nil, false, special)
		t.calls.renders = err != nil || strings.Contains(text, name)
	})
	return t.calls.renders
}

// specialTokens are the variables that name tokens of the vocabulary. A token
// that the model lacks stays undefined, as in transformers.
func specialTokens(t Tokenizer) map[string]string {
	special := map[string]string{}
	for name, id := range map[string]int32{"bos_token": t.BOS(), "eos_token": t.EOS()} {
		if id >= 0 {
			special[name] = t.Decode([]int32{id})
		}
	}
	return special
}
