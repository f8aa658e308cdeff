package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/qlora/qlora/internal/ui"
)

// finishedRun trains outputs/mine and says that its best evaluation was at step 4.
func finishedRun(t *testing.T) {
	t.Helper()
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "4", "--eval-every", "2")...)
	var m trainSummary
	if err := json.Unmarshal(readBytes(t, "outputs/mine/summary.json"), &m); err != nil {
		t.Fatal(err)
	}
	if m.BestAdapter == "" {
		t.Fatal("no evaluation was better than the base's")
	}
	loss := 1.25
	m.BestStep, m.BestEvalLoss = 2, &loss
	if err := writeSummary("outputs/mine/summary.json", m); err != nil {
		t.Fatal(err)
	}
}

func TestRunFolderIsItsBestAdapter(t *testing.T) {
	finishedRun(t)
	const said = "qlora: taking outputs/mine/adapter-best.gguf, the best evaluation (loss 1.2500 at step 2); the last is adapter.gguf\n"
	for _, args := range [][]string{
		{"export", "--to", "peft", "outputs/mine", "--out", "peft"},
		{"export", "--to", "ollama", "outputs/mine", "--out", "ollama"},
		{"merge", "-m", "base.gguf", "--lora", "outputs/mine/:0.5", "-o", "merged.gguf"},
		{"run", "-m", "base.gguf", "--lora", "outputs/mine", "-n", "1", "hi"},
		{"test", "compare", "-m", "base.gguf", "--lora", "outputs/mine", "--data", "eval.jsonl"},
	} {
		if _, errOut := mustRun(t, args...); strings.Count(errOut, said) != 1 {
			t.Errorf("%q does not say once %q:\n%s", args, said, errOut)
		}
	}
	out, _ := mustRun(t, "export", "--to", "peft", "outputs/mine", "--out", "peft2", "--json")
	if !strings.Contains(out, `"input":"outputs/mine/adapter-best.gguf"`) || strings.Contains(out, "template_tools") {
		t.Errorf("the summary of an export to PEFT: %s", out)
	}
	o := parsedEngine(t, "-m", "base.gguf", "--lora", "outputs/mine")
	named, err := o.named()
	if err != nil || len(named) != 1 || named[0].name != "mine" || named[0].path != "outputs/mine/adapter-best.gguf" {
		t.Errorf("serve takes %+v, %v", named, err)
	}
	if args, err := o.engineArgs(zerolog.WarnLevel); err != nil || !slices.Contains(args, "outputs/mine/adapter-best.gguf:1") {
		t.Errorf("the engine, which may be started again, is given %q, %v", args, err)
	}
}

func TestRunFolderWithoutABestIsItsLast(t *testing.T) {
	finishedRun(t)
	if err := os.Remove("outputs/mine/adapter-best.gguf"); err != nil {
		t.Fatal(err)
	}
	_, errOut := mustRun(t, "export", "--to", "peft", "outputs/mine", "--out", "peft")
	if !strings.Contains(errOut, "taking outputs/mine/adapter.gguf, the weights of the run's end") {
		t.Errorf("%s", errOut)
	}
	if err := os.Remove("outputs/mine/summary.json"); err != nil {
		t.Fatal(err)
	}
	_, errOut = mustRun(t, "export", "--to", "peft", "outputs/mine", "--out", "peft2")
	if !strings.Contains(errOut, "no finished run says more") || strings.Contains(errOut, "the run's end") {
		t.Errorf("of a run that has not ended: %s", errOut)
	}
}

func TestFoldersWithoutAResult(t *testing.T) {
	finishedRun(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"export", "--to", "ollama", empty, "--out", "out"},
		{"merge", "-m", "base.gguf", "--lora", empty, "-o", "out"},
		{"run", "-m", "base.gguf", "--lora", empty, "hi"},
		{"serve", "-m", "base.gguf", "--lora", empty},
		{"test", "compare", "-m", "base.gguf", "--lora", empty, "--data", "eval.jsonl", "--report", "out.html"},
	} {
		code, _, errOut := runMain(t, args...)
		if code != ui.ExitInvalid || !strings.Contains(errOut, "holds no result of a run") || !strings.Contains(errOut, "hint: see with 'qlora runs'") || strings.Contains(errOut, "usage:") {
			t.Errorf("%q: exit code %d\n%s", args, code, errOut)
		}
	}
}
