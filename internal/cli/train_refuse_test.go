package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

func TestTrainDryRunEndsInASummary(t *testing.T) {
	tinyRun(t)
	out, _ := mustRun(t, tinyArgs("--name", "mine", "--dry-run", "--json")...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if n := strings.Count(out, `"message_type":"summary"`); n != 1 {
		t.Fatalf("%d summaries:\n%s", n, out)
	}
	var m struct {
		Type string `json:"message_type"`
		dryRunSummary
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil {
		t.Fatal(err)
	}
	if m.Type != "summary" || m.Run != "mine" || !m.DryRun || m.Steps != 0 || m.PlannedSteps != 12 || m.TokensPerStep != 128 || m.TotalBytes <= 0 {
		t.Errorf("the last message is %+v", m)
	}
}

// The plan comes before anything is allocated, as talk; of a dry run it is the result.
func TestTrainTellsItsPlan(t *testing.T) {
	tinyRun(t)
	out, errOut := mustRun(t, tinyArgs("--name", "mine", "--max-steps", "1")...)
	const plan = "memory by arithmetic: "
	if strings.Contains(out, plan) || !strings.Contains(errOut, plan) {
		t.Errorf("standard output %s\nstandard error %s", out, errOut)
	}
	if out, _ := mustRun(t, tinyArgs("--name", "other", "--dry-run")...); !strings.Contains(out, plan) {
		t.Errorf("a dry run prints %s", out)
	}
	code, _, errOut := runMain(t, tinyArgs("--device", "cpu", "--vram-budget", "8GiB")...)
	if code != ui.ExitUsage || !strings.Contains(errOut, "the CPU has none") || !strings.Contains(errOut, "hint: ") {
		t.Errorf("a budget on the CPU: exit code %d: %s", code, errOut)
	}
}

func TestTrainRefusesAGPU(t *testing.T) {
	tinyRun(t)
	code, _, errOut := runMain(t, tinyArgs("-ngl", "9", "--name", "mine")...)
	if code != ui.ExitDevice || !strings.Contains(errOut, "-ngl 0") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if exists("outputs") {
		t.Error("a refused run made folders")
	}
	_, errOut = mustRun(t, tinyArgs("-ngl", "0", "--max-steps", "1")...)
	if strings.Contains(errOut, "warning") {
		t.Errorf("-ngl 0 warns: %s", errOut)
	}
}

// Files that are missing or of another kind come with what to do instead.
func TestTrainHintsAtOtherFiles(t *testing.T) {
	tinyRun(t)
	llamatest.Adapter(t, "adapter.gguf", llamatest.Options{}, llamatest.AdapterOptions{})
	mustRun(t, tinyArgs("--name", "four", "--max-steps", "1")...)
	mustRun(t, "quantize", "-m", "base.gguf", "-o", "q8.gguf", "--type", "q8_0")
	for _, c := range []struct{ args, want, hint string }{
		{"-m adapter.gguf -d train.jsonl", "is an adapter, not a model", "--from adapter.gguf"},
		{"-m base.gguf -d missing.jsonl", "missing.jsonl", "hint: list what is there with 'ls .'"},
		{"-m base.gguf -d train.jsonl --eval-data no/eval.jsonl", "no/eval.jsonl", "'ls no'"},
		{"-m base.gguf -d train.jsonl --from no/adapter.gguf", "no/adapter.gguf", "'ls no'"},
		{"-m base.gguf -d train.jsonl --from base.gguf", "base.gguf", "qlora inspect base.gguf"},
		{"-m base.gguf -d train.jsonl --from outputs/four/adapter.gguf --rank 3", "its rank is 4", "adapter's own --rank"},
		{"-m q8.gguf -d train.jsonl --method full", "F32 model", "qlora quantize -m q8.gguf -o model-f32.gguf --type f32 --allow-requantize"},
	} {
		code, _, errOut := runMain(t, append([]string{"train"}, strings.Fields(c.args)...)...)
		if code != ui.ExitInvalid || !strings.Contains(errOut, c.want) || !strings.Contains(errOut, c.hint) {
			t.Errorf("%s: exit code %d, want 4 with %q and %q: %s", c.args, code, c.want, c.hint, errOut)
		}
	}
	mustRun(t, strings.Fields("quantize -m q8.gguf -o model-f32.gguf --type f32 --allow-requantize")...)
	mustRun(t, strings.Fields("train -m model-f32.gguf -d train.jsonl --method full --max-steps 1 --name full -c 64")...)
}

func TestResumeNamesTheBrokenReport(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "1")...)
	path := filepath.Join("runs", "mine", runlog.MetricsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("garbage\n"), text...), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := runMain(t, "train", "--resume", "last", "--name", "mine", "--max-steps", "2")
	if code != ui.ExitInvalid || !strings.Contains(errOut, path+":1: not JSON") || !strings.Contains(errOut, "hint: remove or repair line 1") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
}

// The bar's rate is over its count: steps of an earlier process are not in it.
func TestBarCountsThisProcess(t *testing.T) {
	tinyRun(t)
	s, _, errOut := ui.Test()
	s.ErrTTY = true
	p, err := newReporter(runFolders{name: "mine", runs: "runs", log: "mine.log"}, 16, true, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(train.Start{Step: 16, Total: 24}); err != nil {
		t.Fatal(err)
	}
	if err := p.evalPart(train.EvalPart{Done: 1, Total: 1}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(nil); err != nil {
		t.Fatal(err)
	}
	if text := errOut.String(); !strings.Contains(text, "train from step 16") || !strings.Contains(text, "(0/8") || strings.Contains(text, "/24") {
		t.Errorf("drawn: %q", text)
	}
}

func TestRunRefusesAnEmptyPrompt(t *testing.T) {
	tinyRun(t)
	for _, prompt := range []string{"", "-"} {
		code, out, errOut := runMain(t, "run", "-m", "base.gguf", "-n", "1", "-t", "1", prompt)
		if code != ui.ExitUsage || out != "" || !strings.Contains(errOut, "the prompt is empty") {
			t.Errorf("%q: exit code %d, %q: %s", prompt, code, out, errOut)
		}
	}
}
