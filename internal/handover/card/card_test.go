package card_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover/card"
)

func base(t *testing.T, kvs ...gguf.KV) *gguf.File {
	t.Helper()
	kvs = append([]gguf.KV{{Key: "general.architecture", Value: "llama"}}, kvs...)
	path := filepath.Join(t.TempDir(), "base.gguf")
	w, err := gguf.Create(path, kvs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func full(t *testing.T) *card.Card {
	before, after := 2.5, 1.25
	run := config.DefaultRun()
	run.Model, run.Output, run.Data = "/home/someone/models/base.gguf", "/home/someone/out", []string{"/home/someone/secret/train.jsonl"}
	run.From, run.ChatTemplate = "/home/someone/a.gguf", "/home/someone/t.jinja"
	return &card.Card{Name: "my | run", Format: card.GGUF, File: "adapter.gguf", Tool: "qlora devel",
		Base: card.BaseOf(base(t, gguf.KV{Key: "general.name", Value: "Small Model"}, gguf.KV{Key: "general.license", Value: "Apache-2.0"},
			gguf.KV{Key: "general.languages", Value: []string{"en"}}, gguf.KV{Key: "general.source.url", Value: "https://huggingface.co/org/small-model"})),
		Rank: 16, Alpha: 32, Targets: []string{"attn_q", "ffn_up"}, Run: &run,
		Result: &card.Result{Steps: 10, BestStep: 8, TrainedTokens: 1234, TrainLoss: 1.5, EvalLossBefore: &before, EvalLoss: &after, BestEvalLoss: &after},
		Train:  []card.DataFile{{Name: card.FileName(`C:\data\train.jsonl`), Weight: 0.5, Records: 7, Samples: 8, Tokens: 900, Trained: 500}},
		Eval:   []card.DataFile{{Name: "eval.jsonl", Weight: 1, Records: 2, Samples: 2, Tokens: 90, Trained: 50}}}
}

func TestCardSaysWhatIsKnown(t *testing.T) {
	text, err := full(t).Text()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "---\n")
	head, body, ok := strings.Cut(rest, "---\n")
	if !ok {
		t.Fatalf("no front matter:\n%s", text)
	}
	var front map[string]any
	if err := yaml.Unmarshal([]byte(head), &front); err != nil {
		t.Fatalf("%v\n%s", err, head)
	}
	if front["base_model"] != "org/small-model" || front["license"] != "apache-2.0" || front["base_model_relation"] != "adapter" {
		t.Errorf("front matter: %v", front)
	}
	if d, ok := front["datasets"]; ok {
		t.Errorf("datasets: %v, which are no names at the hub", d)
	}
	if !strings.Contains(head, "value: 1.25\n") || !strings.Contains(head, "value: 3.4903\n") {
		t.Errorf("the evaluation's loss and perplexity are not in\n%s", head)
	}
	for _, want := range []string{
		"# my | run\n", "| train.jsonl | training | 0.5 | 7 | 8 | 900 | 500 |", "| eval.jsonl | evaluation | 1 | 2 | 2 | 90 | 50 |", "| rank | 16 |", "| scale (alpha / rank) | 2 |",
		"| adapted | attn_q, ffn_up |", "| learning rate | 0.0002, cosine |", "| evaluation loss before | 2.5000 (perplexity 12.18) |", "best evaluation loss, after step 8",
		"licence is Apache-2.0", "--lora adapter.gguf",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the card does not say %q:\n%s", want, body)
		}
	}
}

// TestCardKeepsPathsAtHome: a card is published, and a path tells who made it.
func TestCardKeepsPathsAtHome(t *testing.T) {
	c := full(t)
	c.Base = card.BaseOf(base(t, gguf.KV{Key: "general.name", Value: "/home/someone/models/base"},
		gguf.KV{Key: "general.license.link", Value: "file:///home/someone/LICENSE"}, gguf.KV{Key: "general.source.url", Value: "/home/someone/models"}))
	for _, format := range []card.Format{card.GGUF, card.PEFT, card.Ollama} {
		c.Format = format
		text, err := c.Text()
		if err != nil {
			t.Fatal(err)
		}
		host, _ := os.Hostname()
		for _, leak := range []string{"someone", "/home", "secret", os.TempDir(), host} {
			if len(leak) > 3 && strings.Contains(text, leak) {
				t.Errorf("%s: the card says %q:\n%s", format, leak, text)
			}
		}
	}
}

func TestCardOfAnUnknownAdapter(t *testing.T) {
	c := &card.Card{Name: "x", Format: card.PEFT, Base: card.BaseOf(base(t)), Rank: 4, Tool: "qlora"}
	text, err := c.Text()
	if err != nil || strings.Contains(text, "## Results") || strings.Contains(text, "trained with") || !strings.Contains(text, "does not say its licence") ||
		!strings.Contains(text, `from_pretrained("base.gguf")`) || !strings.Contains(text, "| scale (alpha / rank) | 1 |") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestPublic(t *testing.T) {
	for in, want := range map[string]string{
		"Qwen/Qwen2.5-7B": "Qwen/Qwen2.5-7B", "a name": "a name", "/home/me/model": "model", "~/model/": "model", `C:\m\x`: "x", `\\host\share\m`: "m", "./rel/m": "m", "../m": "m",
	} {
		if got := card.Public(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// TestMergedCard goes through the file of a merged model.
func TestMergedCard(t *testing.T) {
	second := full(t)
	second.Name, second.Run, second.Result, second.Train, second.Eval = "other", nil, nil, nil, nil
	value, err := card.EncodeAdapters([]card.Adapter{full(t).Adapter(1), second.Adapter(0.5)})
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"someone", "/home", "secret"} {
		if strings.Contains(value, leak) {
			t.Errorf("the file says %q: %s", leak, value)
		}
	}
	merged := base(t, gguf.KV{Key: card.AdaptersKey, Value: value})
	adapters, err := card.AdaptersOf(merged)
	if err != nil || len(adapters) != 2 {
		t.Fatalf("%+v, %v", adapters, err)
	}
	c := &card.Card{Name: "both", Format: card.Ollama, Merged: true, Tool: "qlora devel", Base: card.BaseOf(merged), Adapters: adapters}
	text := cardText(t, c)
	for _, want := range []string{
		"with 2 adapters built in: my | run and other at 0.5 times its scale. Trained with qlora devel: my | run.\n",
		"## Adapter my | run\n\n### Data\n", "| train.jsonl | training | 0.5 | 7 | 8 | 900 | 500 |", "| learning rate | 0.0002, cosine |",
		"| evaluation loss before | 2.5000 (perplexity 12.18) |", "before it was built in", "## Adapter other at 0.5 times its scale\n\n### Settings\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the card does not say %q:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "### Results"); n != 1 || strings.Contains(text, "model-index") {
		t.Errorf("%d results, want one, and none that is the merged model's:\n%s", n, text)
	}
	c.Adapters = adapters[:1]
	if text := cardText(t, c); !strings.Contains(text, "with the adapter my | run built in, which was trained with qlora devel.\n") || !strings.Contains(text, "\n## Results\n") {
		t.Errorf("of one adapter:\n%s", text)
	}
}

func cardText(t *testing.T, c *card.Card) string {
	t.Helper()
	text, err := c.Text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAdaptersOfOtherModels(t *testing.T) {
	if all, err := card.AdaptersOf(base(t)); err != nil || len(all) > 0 {
		t.Errorf("a model that no merge wrote: %+v, %v", all, err)
	}
	if all, err := card.AdaptersOf(base(t, gguf.KV{Key: card.AdaptersKey, Value: "{"})); err == nil {
		t.Errorf("got %+v", all)
	}
}

// TestFrontMatterNamesBases: hubs link what base_model names, and refuse what
// can be no name there.
func TestFrontMatterNamesBases(t *testing.T) {
	hub := gguf.KV{Key: "general.source.url", Value: "https://huggingface.co/org/small-model"}
	named := gguf.KV{Key: "general.name", Value: "Small Model"}
	built := []card.Adapter{full(t).Adapter(1)}
	for _, c := range []struct {
		name       string
		card       card.Card
		front, has string
	}{
		{"adapter", card.Card{Base: card.BaseOf(base(t, hub))}, "base_model: org/small-model\nbase_model_relation: adapter\n", "for org/small-model"},
		{"adapter of a file", card.Card{Base: card.BaseOf(base(t, named))}, "", "for Small Model"},
		{"adapter for PEFT", card.Card{Base: card.Base{Hub: "./models/small"}, Format: card.PEFT}, "", "./models/small"},
		{"merged", card.Card{Base: card.BaseOf(base(t, hub)), Merged: true, Adapters: built}, "base_model: org/small-model\nbase_model_relation: merge\n", "Its base is org/small-model."},
		{"merged from a file", card.Card{Base: card.BaseOf(base(t, named)), Merged: true, Adapters: built}, "", "Its base is Small Model."},
		{"full", card.Card{Base: card.BaseOf(base(t, hub)), Merged: true, Run: full(t).Run}, "base_model: org/small-model\nbase_model_relation: finetune\n", "Its base is org/small-model."},
		{"base", card.Card{Base: card.BaseOf(base(t, hub)), Merged: true}, "base_model: org/small-model\npipeline_tag", "A model of the llama architecture.\n"},
	} {
		head, body, _ := strings.Cut(cardText(t, &c.card), "\n---\n")
		if !strings.Contains(head, c.front) || c.front == "" && strings.Contains(head, "base_model") || !strings.Contains(body, c.has) {
			t.Errorf("%s:\n%s\n---\n%s", c.name, head, body)
		}
	}
}
