package cli

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/runlog"
)

// TestTrainAnswersItsPrompts compares the samples of a run with what 'qlora
// run' says with the last checkpoint.
func TestTrainAnswersItsPrompts(t *testing.T) {
	tinyRun(t)
	const first, second = "the fun in 3", `in the "fun", --there`
	mustRun(t, tinyArgs("--name", "mine", "--eval-every", "0", "--sample-prompts", first, "--sample-prompts", second)...)
	all, err := runlog.ReadSamples(filepath.Join("runs", "mine"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		got = append(got, fmt.Sprintf("%d %s", s.Step, s.Prompt))
	}
	var want []string
	for _, step := range []int{3, 6, 9, 12} {
		want = append(want, fmt.Sprintf("%d %s", step, first), fmt.Sprintf("%d %s", step, second))
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %q\nwant %q", got, want)
	}
	adapter := filepath.Join("outputs", "mine", "checkpoint-12", "adapter.gguf")
	out, _ := mustRun(t, "run", "-m", "base.gguf", "--lora", adapter, "--temp", "0", "-n", "64", "-t", "1", "--device", "cpu", first)
	if last := all[len(all)-2].Text; strings.TrimSpace(out) != strings.TrimSpace(last) {
		t.Errorf("the sample is %q, the checkpoint says %q", last, out)
	}
}

// A prompt that cannot be answered is told, and the training goes on.
func TestTrainGoesOnWithoutASample(t *testing.T) {
	tinyRun(t)
	_, errOut := mustRun(t, tinyArgs("-q", "--name", "mine", "--sample-prompts", strings.Repeat("the fun in ", 400))...)
	if !strings.Contains(errOut, "qlora: warning: no sample at step 3: qlora run: generate: the prompt has ") {
		t.Errorf("got %s", errOut)
	}
}
