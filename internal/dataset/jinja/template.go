package jinja

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Template is a parsed chat template. It is safe for concurrent use.
type Template struct {
	body []node
	now  func() time.Time
}

// maxSource bounds a template; with it, the depth of operator chains.
const maxSource = 1 << 20

// Raised is what a template reports with raise_exception.
type Raised struct{ Message string }

func (e *Raised) Error() string { return e.Message }

// Parse reads the source of a template. Now answers strftime_now; nil is the
// clock of this machine.
func Parse(source string, now func() time.Time) (*Template, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("template of %d bytes, at most %d are read", len(source), maxSource)
	}
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	body, err := parse(tokens)
	if err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	return &Template{body: body, now: now}, nil
}

// Render fills the template with vars. Errors name the line of the template;
// one of type *Raised comes from the template itself.
func (t *Template) Render(vars map[string]any) (string, error) {
	st := &state{out: &strings.Builder{}, now: t.now}
	root := newFrame(&frame{vars: vars})
	if err := renderAll(t.body, st, root); err != nil {
		if errors.Is(err, errBreak) || errors.Is(err, errContinue) {
			return "", fmt.Errorf("template: %w", err)
		}
		return "", err
	}
	return st.out.String(), nil
}
