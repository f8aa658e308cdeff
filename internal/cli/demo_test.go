package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

// tinyDemo is a folder with a model, a repository and session logs, and the
// demo's arguments for them.
func tinyDemo(t *testing.T) []string {
	t.Helper()
	logs, err := filepath.Abs(filepath.Join("..", "..", "data", "staging"))
	if err != nil {
		t.Fatal(err)
	}
	tinyRun(t)
	if err := os.Mkdir("repo", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		var file strings.Builder
		fmt.Fprintf(&file, "package repo\n\n")
		for j := range 6 {
			fmt.Fprintf(&file, "// fun%d_%d returns the number of the fun.\nfunc fun%d_%d() int {\n\tif %d > %d {\n\t\treturn %d\n\t}\n\treturn %d\n}\n\n", i, j, i, j, i, j, i, j)
		}
		putText(t, filepath.Join("repo", fmt.Sprintf("fun%d.go", i)), file.String())
	}
	return []string{"demo", "-m", "base.gguf", "--repo", "repo", "--logs", logs, "-t", "1"}
}

func TestDemo(t *testing.T) {
	args := tinyDemo(t)
	out, errOut := mustRun(t, append(args, "--json", "--steps", "60")...)
	var m trainSummary
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatalf("%v: standard output is not one summary: %s", err, out)
	}
	if m.Steps != 60 || *m.EvalLoss > 0.9**m.EvalLossBefore || m.Adapter != "outputs/demo/adapter.gguf" {
		t.Errorf("summary %+v", m)
	}
	for _, name := range []string{"base-q4_k_m.gguf", "adapter.gguf", "merged.gguf", "summary.json", "train.jsonl", "eval.jsonl"} {
		if !exists(filepath.Join("outputs/demo", name)) {
			t.Errorf("no outputs/demo/%s", name)
		}
	}
	for _, command := range []string{"prep logs2sft", "prep repo2fim", "prep split", "quantize", "train", "test baseline", "merge"} {
		if !strings.Contains(errOut, "\n$ qlora "+command+" ") {
			t.Errorf("'%s' was not announced", command)
		}
	}
}

// A demo that learned nothing fails, and one that is repeated replaces itself.
func TestDemoWithoutLearningFails(t *testing.T) {
	args := tinyDemo(t)
	for range 2 {
		code, _, errOut := runMain(t, append(args, "--steps", "1")...)
		if code != ui.ExitFailure || !strings.Contains(errOut, "less than 10 %") {
			t.Fatalf("exit code %d: %s", code, errOut)
		}
	}
	if exists("outputs/demo.1") {
		t.Error("an earlier demo was put aside in place of being replaced")
	}
}

func TestDemoKeepsWhatIsNotItsOwn(t *testing.T) {
	tinyRun(t)
	if err := os.MkdirAll("outputs/demo", 0o755); err != nil {
		t.Fatal(err)
	}
	putText(t, "outputs/demo/mine", "x")
	s, _, _ := ui.Test()
	if err := clearDemo("outputs/demo", s); err != nil {
		t.Fatal(err)
	}
	if !exists("outputs/demo.1/mine") || exists("outputs/demo/mine") {
		t.Error("the folder of another run was not put aside")
	}
}

func TestDemoNeedsItsData(t *testing.T) {
	tinyRun(t)
	code, _, errOut := runMain(t, "demo", "-m", "base.gguf")
	if code != ui.ExitInvalid || !strings.Contains(errOut, "data/staging") || exists("outputs") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
}
