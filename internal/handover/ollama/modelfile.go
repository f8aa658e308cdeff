package ollama

import (
	"fmt"
	"strconv"
	"strings"
)

// Modelfile is what a Modelfile says. Paths are relative to its folder.
type Modelfile struct {
	From        string // GGUF of the model
	Adapter     string // GGUF of an adapter, or empty
	Template    string // in Go's template language; empty leaves it to Ollama
	System      string // system message where a chat brings none, or empty
	Stop        []string
	NumCtx      int     // tokens; 0 leaves it to Ollama
	Temperature float64 // negative leaves it to Ollama
	Licenses    []string
}

// Text spells the file. A value that the grammar cannot carry is an error.
func (m *Modelfile) Text() (string, error) {
	w := &writer{}
	w.line("FROM", "./"+m.From)
	if m.Adapter != "" {
		w.line("ADAPTER", "./"+m.Adapter)
	}
	if m.Template != "" {
		w.line("TEMPLATE", m.Template)
	}
	if m.System != "" {
		w.line("SYSTEM", m.System)
	}
	for _, stop := range m.Stop {
		w.line("PARAMETER stop", stop)
	}
	if m.NumCtx > 0 {
		w.line("PARAMETER num_ctx", strconv.Itoa(m.NumCtx))
	}
	if m.Temperature >= 0 {
		w.line("PARAMETER temperature", strconv.FormatFloat(m.Temperature, 'g', -1, 64))
	}
	for _, license := range m.Licenses {
		w.line("LICENSE", license)
	}
	return w.text.String(), w.err
}

// writer gathers lines and remembers the first failure.
type writer struct {
	text strings.Builder
	err  error
}

func (w *writer) line(instruction, value string) {
	quoted, err := quote(value)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("%s cannot be written into a Modelfile: %w", instruction, err)
	}
	fmt.Fprintf(&w.text, "%s %s\n", instruction, quoted)
}

// quote spells a value so that Ollama reads the same back. Its grammar has no
// escapes: a value is bare, between double quotes, or between three of them,
// and ends where those do; and characters that do not print are skipped.
func quote(value string) (string, error) {
	for _, r := range value {
		if !strconv.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' {
			return "", fmt.Errorf("it holds the character %U, which Ollama leaves out", r)
		}
	}
	switch {
	case value == "":
		return `""`, nil
	case !strings.ContainsAny(value, "\r\n\"") && value == strings.TrimSpace(value):
		return value, nil
	case !strings.Contains(value, `"`):
		return `"` + value + `"`, nil
	case strings.Contains(value, `"""`):
		return "", fmt.Errorf("it holds three double quotes in a row")
	}
	return `"""` + value + `"""`, nil
}
