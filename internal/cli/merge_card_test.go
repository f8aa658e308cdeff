package cli

import (
	"os"
	"strings"
	"testing"
)

// exportedCard is the card of a model, exported from where it is.
func exportedCard(t *testing.T, model string) string {
	t.Helper()
	out := t.TempDir() + "/out"
	mustRun(t, "export", "--to", "ollama", model, "--out", out)
	return string(readBytes(t, out+"/README.md"))
}

// TestMergedModelsTellOfTheirAdapters: in the run's folder, moved away from it,
// and merged once more.
func TestMergedModelsTellOfTheirAdapters(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "2", "--eval-every", "1")...)
	mustRun(t, tinyArgs("--name", "other", "--max-steps", "1", "--learning-rate", "0.5")...)
	mustRun(t, "merge", "-m", "base.gguf", "--lora", "outputs/mine/adapter.gguf", "-o", "outputs/mine/merged.gguf")
	_, own, _ := strings.Cut(string(readBytes(t, "outputs/mine/README.md")), "## Data")
	data, _, _ := strings.Cut(own, "## Results")
	one := exportedCard(t, "outputs/mine/merged.gguf")
	if !strings.Contains(one, "## Data"+data) || !strings.Contains(one, "| evaluation loss after |") || !strings.Contains(one, "the adapter mine built in") {
		t.Errorf("the card of the merged model lacks some of\n%s:\n%s", own, one)
	}
	mustRun(t, "merge", "-m", "outputs/mine/merged.gguf", "--lora", "outputs/other/adapter.gguf:0.5", "-o", "both.gguf")
	if err := os.RemoveAll("outputs"); err != nil {
		t.Fatal(err)
	}
	both := exportedCard(t, "both.gguf")
	for _, want := range []string{"## Adapter mine\n", "### Data" + strings.ReplaceAll(data, "## Settings", "### Settings"), "## Adapter other at 0.5 times its scale\n", "| learning rate | 0.5, cosine |"} {
		if !strings.Contains(both, want) {
			t.Errorf("the card does not say %q:\n%s", want, both)
		}
	}
}

func TestMergeWarnsOfARunThatCannotBeRead(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "1")...)
	putText(t, "outputs/mine/summary.json", "{")
	_, errOut := mustRun(t, "merge", "-m", "base.gguf", "--lora", "outputs/mine/adapter.gguf", "-o", "merged.gguf")
	if !strings.Contains(errOut, "qlora: warning: ") || !strings.Contains(errOut, "will not tell of the training of outputs/mine/adapter.gguf") {
		t.Errorf("got %s", errOut)
	}
	if text := exportedCard(t, "merged.gguf"); !strings.Contains(text, "| rank | 4 |") || strings.Contains(text, "trained with") {
		t.Errorf("the card:\n%s", text)
	}
}
