package ollama_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ollama/ollama/parser"

	"github.com/qlora/qlora/internal/handover/ollama"
)

// read gives what Ollama's own parser finds in text.
func read(t *testing.T, text string) map[string][]string {
	t.Helper()
	f, err := parser.ParseFile(strings.NewReader(text))
	if err != nil {
		t.Fatalf("Ollama refuses\n%s\n%v", text, err)
	}
	found := map[string][]string{}
	for _, c := range f.Commands {
		found[c.Name] = append(found[c.Name], c.Args)
	}
	return found
}

func TestOllamaReadsTheModelfileBack(t *testing.T) {
	texts := []string{
		"plain", "two words", `it's "quoted"`, `"whole"`, `ends with "`, "  spaces at both ends  ", "two\nlines\n", "\n\nlines\twith tabs\r\n",
		`{"json": "value"}`, "{{ .Prompt }}\n{{- range .Messages }}\"x\"{{ end }}", "# no comment", "FROM nowhere", "ümlaut 漢字 😀", "\"\nx", "'single'",
	}
	names := []string{"a.gguf", "with space.gguf", " lead.gguf", "trail ", `quo"te.gguf`, `end"`, "#hash.gguf", "~home.gguf", "漢字.gguf"}
	for i, text := range texts {
		m := ollama.Modelfile{From: names[i%len(names)], Adapter: names[(i+3)%len(names)], Template: text, System: text,
			Stop: []string{"<|im_end|>", text}, NumCtx: 4096, Temperature: 0.25, Licenses: []string{text, "MIT"}}
		out, err := m.Text()
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		found := read(t, out)
		for name, want := range map[string][]string{
			"model": {"./" + m.From}, "adapter": {"./" + m.Adapter}, "template": {text}, "system": {text}, "stop": {"<|im_end|>", text},
			"num_ctx": {"4096"}, "temperature": {"0.25"}, "license": {text, "MIT"},
		} {
			if strings.Join(found[name], "|") != strings.Join(want, "|") {
				t.Errorf("%s reads back as %q, want %q, from\n%s", name, found[name], want, out)
			}
		}
	}
}

// TestQuotingOfRandomTexts: what is written reads back, or was refused.
func TestQuotingOfRandomTexts(t *testing.T) {
	const seed = 29
	rng := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{`"`, `""`, " ", "\n", "\r", "\t", "a", "#", "{{", "FROM x", "'", "\\", "é", "/"}
	written := 0
	for range 4000 {
		var b strings.Builder
		for range rng.IntN(7) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		m := ollama.Modelfile{From: "a.gguf", Stop: []string{"x" + b.String(), b.String()}, Temperature: 0}
		out, err := m.Text()
		if err != nil {
			continue
		}
		written++
		if found := read(t, out); len(found["stop"]) != 2 || found["stop"][0] != m.Stop[0] || found["stop"][1] != m.Stop[1] || found["temperature"][0] != "0" {
			t.Fatalf("seed %d: %q reads back as %q, from\n%s", seed, m.Stop, found["stop"], out)
		}
	}
	if written < 2000 {
		t.Errorf("only %d of 4000 texts could be written", written)
	}
}

func TestModelfileRefusesWhatTheGrammarCannotSay(t *testing.T) {
	for _, text := range []string{`three """ quotes`, "no\u00a0break", "bell\a"} {
		m := ollama.Modelfile{From: "a.gguf", System: text, Temperature: -1}
		if out, err := m.Text(); err == nil {
			t.Errorf("%q is written as\n%s", text, out)
		} else if !strings.Contains(err.Error(), "SYSTEM") {
			t.Errorf("%q: the error does not name the instruction: %v", text, err)
		}
	}
}

func TestModelfileLeavesOutWhatIsNotSet(t *testing.T) {
	m := ollama.Modelfile{From: "a.gguf", Temperature: -1}
	if out, err := m.Text(); err != nil || out != "FROM ./a.gguf\n" {
		t.Errorf("%q, %v", out, err)
	}
}
