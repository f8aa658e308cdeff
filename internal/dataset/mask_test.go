package dataset

import (
	"errors"
	"strings"
	"testing"
)

// build makes the samples of one line and returns them marked.
func buildLine(t *testing.T, tok Tokenizer, o LoadOptions, line string) ([]string, outcome, error) {
	t.Helper()
	if o.MaxLength == 0 {
		o.MaxLength = 1 << 20
	}
	if o.Loss == "" {
		o.Loss = LossAssistant
	}
	r, err := parseRecord([]byte(line))
	if err != nil {
		return nil, outcome{}, err
	}
	out, err := newBuilder(o, tok).build(r)
	var texts []string
	for _, s := range out.samples {
		if len(s.tokens) != len(s.train) {
			t.Fatalf("%d tokens, %d marks", len(s.tokens), len(s.train))
		}
		texts = append(texts, marked(s.tokens, s.train, tok))
	}
	return texts, out, err
}

const twoTurns = `{"messages":[{"role":"system","content":"S"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}`

func TestMasks(t *testing.T) {
	smol, llama3, mistral := "smollm2.jinja", "llama3.jinja", "mistral-v0.3.jinja"
	for name, c := range map[string]struct {
		template string
		loss     Loss
		line     string
		want     string
	}{
		"assistant turns with their end, not the newline after": {smol, LossAssistant, twoTurns,
			"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n[[b<|im_end|>]]\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n[[d<|im_end|>]]\n"},
		"last turn": {smol, LossCompletion, twoTurns,
			"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n[[d<|im_end|>]]\n"},
		"everything": {smol, LossAll, `{"messages":[{"role":"system","content":"S"},{"role":"assistant","content":"b"}]}`,
			"[[<|im_start|>system\nS<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n]]"},
		"turns that opt out": {smol, LossAssistant,
			`{"messages":[{"role":"system","content":""},{"role":"user","content":"a"},{"role":"assistant","content":"b","train":false},{"role":"user","content":"c"},{"role":"assistant","content":"d"},{"role":"assistant","content":"e","weight":0}]}`,
			"<|im_start|>system\n<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n[[d<|im_end|>]]\n<|im_start|>assistant\ne<|im_end|>\n"},
		"llama 3": {llama3, LossAssistant, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":" b\n"}]}`,
			"<s><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[[b<|eot_id|>]]"},
		"mistral": {mistral, LossAssistant, twoTurns, "<s>[INST] S\n\na[/INST][[ b</s>]][INST] c[/INST][[ d</s>]]"},
		"prompt and completion as messages": {smol, LossAssistant,
			`{"prompt":[{"role":"system","content":"S"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}]}`,
			"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n[[d<|im_end|>]]\n"},
		"sharegpt": {smol, LossAssistant, `{"system":"S","conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}`,
			"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n[[b<|im_end|>]]\n"},
		"alpaca": {smol, LossAssistant, `{"system":"S","instruction":"do","input":"it","output":"done","history":[["q","r"]]}`,
			"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[[r<|im_end|>]]\n<|im_start|>user\ndo\nit<|im_end|>\n<|im_start|>assistant\n[[done<|im_end|>]]\n"},
		"completion":            {"", LossAssistant, `{"prompt":"p ","completion":"c"}`, "p [[c<|endoftext|>]]"},
		"whole of completion":   {"", LossAll, `{"prompt":"p ","completion":"c"}`, "[[p c<|endoftext|>]]"},
		"text":                  {"", LossAssistant, `{"text":"abc"}`, "[[abc<|endoftext|>]]"},
		"text that has its end": {"", LossAssistant, `{"text":"abc<|endoftext|>"}`, "[[abc<|endoftext|>]]"},
		"fim":                   {"", LossAssistant, `{"prefix":"p<s>","suffix":"","middle":"m"}`, "<|fim_prefix|>p<s><|fim_suffix|><|fim_middle|>[[m<|endoftext|>]]"},
		"whole of fim":          {"", LossAll, `{"prefix":"p","suffix":"s","middle":"m"}`, "[[<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>m<|endoftext|>]]"},
		"content parts and unicode": {smol, LossAssistant,
			`{"messages":[{"role":"system","content":"é"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]},{"role":"assistant","content":"世🌍"}]}`,
			"<|im_start|>system\né<|im_end|>\n<|im_start|>user\nxy<|im_end|>\n<|im_start|>assistant\n[[世🌍<|im_end|>]]\n"},
	} {
		tok := chatFake()
		o := LoadOptions{Loss: c.loss}
		if c.template != "" {
			o.Template = testTemplate(t, c.template)
		}
		switch c.template {
		case llama3, "llama3.1.jinja":
			tok.eot = tok.id("<|eot_id|>")
		case mistral:
			tok.eos, tok.eot = tok.id("</s>"), -1
		}
		got, out, err := buildLine(t, tok, o, c.line)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
		if out.turns.open != 0 {
			t.Errorf("%s: %d turns without an end", name, out.turns.open)
		}
	}
}

func TestToolCallsAreTrained(t *testing.T) {
	o := LoadOptions{Template: testTemplate(t, "qwen2.5.jinja")}
	got, _, err := buildLine(t, chatFake(), o, `{"tools":"[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]","messages":[
		{"role":"user","content":"q"},
		{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{\"b\": 1, \"a\": 2}"}}]},
		{"role":"tool","content":"r"},{"role":"assistant","content":"z","tool_calls":null}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<tools>` + "\n" + `{"type": "function", "function": {"name": "f"}}` + "\n</tools>",
		"<|im_start|>assistant\n[[<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1, \"a\": 2}}\n</tool_call><|im_end|>]]\n",
		"<|im_start|>user\n<tool_response>\nr\n</tool_response><|im_end|>\n<|im_start|>assistant\n[[z<|im_end|>]]\n",
	} {
		if !strings.Contains(got[0], want) {
			t.Errorf("%q lacks %q", got[0], want)
		}
	}
	if n := strings.Count(got[0], "[["); n != 2 {
		t.Errorf("%d trained parts, want 2", n)
	}
}

func TestBOSComesOnce(t *testing.T) {
	tok := chatFake()
	tok.addBOS = true
	for line, want := range map[string]string{
		`{"text":"abc"}`:                           "<s>[[abc<|endoftext|>]]",
		`{"text":"<s>abc"}`:                        "[[<s>abc<|endoftext|>]]",
		`{"prompt":"p","completion":"c"}`:          "<s>p[[c<|endoftext|>]]",
		`{"prefix":"p","suffix":"s","middle":"m"}`: "<s><|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>[[m<|endoftext|>]]",
	} {
		if got, _, err := buildLine(t, tok, LoadOptions{}, line); err != nil || got[0] != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
	o := LoadOptions{Template: testTemplate(t, "llama3.jinja")} // writes BOS itself
	got, _, err := buildLine(t, tok, o, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`)
	if err != nil || strings.Count(got[0], "<s>") != 1 {
		t.Errorf("llama 3: %q, %v", got, err)
	}
}

// A template that rewrites earlier turns once later ones exist, as those do
// that drop the reasoning of past turns.
const rewriting = `{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.role == "assistant" and not loop.last %}{{ m.content.split("</think>")[-1] }}{% else %}{{ m.content }}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

func TestUnstableTemplateIsNamed(t *testing.T) {
	tpl, err := ChooseTemplate("", rewriting, "some-model.gguf", testDay)
	if err != nil {
		t.Fatal(err)
	}
	line := `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"<think>t</think>b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}`
	_, _, err = buildLine(t, chatFake(), LoadOptions{Template: tpl}, line)
	if !errors.Is(err, errUnstable) || !strings.Contains(err.Error(), "some-model.gguf") || !strings.Contains(err.Error(), "message 2") {
		t.Errorf("error %v, want the template, its source and the message named", err)
	}
	got, _, err := buildLine(t, chatFake(), LoadOptions{Template: tpl, Loss: LossCompletion}, line)
	if err != nil || !strings.HasSuffix(got[0], "\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n[[d<|im_end|>]]\n") {
		t.Errorf("last turn alone: %q, %v", got, err)
	}
}

func TestPromptThatTheTurnDoesNotRepeat(t *testing.T) {
	tpl, err := NewTemplate("inline", `{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}bot>{% endif %}`, testDay)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = buildLine(t, chatFake(), LoadOptions{Template: tpl}, twoTurns)
	if !errors.Is(err, errUnstable) {
		t.Errorf("error %v, want an unstable template", err)
	}
}

func TestTurnWithoutEndIsCounted(t *testing.T) {
	tpl, err := NewTemplate("inline", `{% for m in messages %}{{ m.role }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`, testDay)
	if err != nil {
		t.Fatal(err)
	}
	got, out, err := buildLine(t, chatFake(), LoadOptions{Template: tpl}, twoTurns)
	if err != nil || out.turns.open != 2 {
		t.Errorf("%d open turns, %v", out.turns.open, err)
	}
	if want := "system: S\nuser: a\nassistant: [[b\n]]user: c\nassistant: [[d\n]]"; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCallsThatTheTemplateLeavesOut(t *testing.T) {
	line := `{"messages":[{"role":"user","content":"a"},` +
		`{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"r"},` +
		`{"role":"assistant","content":"see","tool_calls":[{"function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"r"},` +
		`{"role":"assistant","content":"b"}]}`
	got, out, err := buildLine(t, chatFake(), LoadOptions{Template: testTemplate(t, "smollm2.jinja")}, line)
	if err != nil || out.turns.lostCalls != 2 || len(got) != 1 {
		t.Fatalf("%d turns without their calls, %q, %v", out.turns.lostCalls, got, err)
	}
	if strings.Contains(got[0], "[[<|im_end|>]]") || strings.Count(got[0], "[[") != 2 || !strings.Contains(got[0], "[[see<|im_end|>]]") {
		t.Errorf("%q: want loss on the two turns with content only", got[0])
	}
	got, out, err = buildLine(t, chatFake(), LoadOptions{Template: testTemplate(t, "qwen2.5.jinja")}, line)
	if err != nil || out.turns.lostCalls != 0 || strings.Count(got[0], "[[") != 3 {
		t.Errorf("a template with calls: %d left out, %q, %v", out.turns.lostCalls, got, err)
	}
}

func TestAssistantSpeaksFirst(t *testing.T) {
	first := `{"messages":[{"role":"assistant","content":"hi"},{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`
	_, _, err := buildLine(t, chatFake(), LoadOptions{Template: testTemplate(t, "mistral-v0.3.jinja")}, first)
	if err == nil || !strings.Contains(err.Error(), "alternate") {
		t.Errorf("error %v, want the template's own complaint", err)
	}
	got, _, err := buildLine(t, chatFake(), LoadOptions{Template: testTemplate(t, "qwen2.5.jinja")}, first)
	if err != nil || !strings.Contains(got[0], "<|im_start|>assistant\n[[hi<|im_end|>]]\n") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNoTemplateIsAnErrorOfTheModel(t *testing.T) {
	_, _, err := buildLine(t, chatFake(), LoadOptions{}, twoTurns)
	if !errors.Is(err, errNoTemplate) || !ofTheModel(err) {
		t.Errorf("error %v", err)
	}
}
