package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

// The data is told on standard output, what is wrong with it and how it looks
// on standard error: quiet leaves the warnings.
func TestTrainTalksOnStandardError(t *testing.T) {
	tinyRun(t)
	putText(t, "calls.jsonl", string(readBytes(t, "train.jsonl"))+`{"messages":[{"role":"user","content":"the fun"},`+
		`{"role":"assistant","content":"there","tool_calls":[{"type":"function","function":{"name":"fun","arguments":{}}}]}]}`+"\n")
	warning := "qlora: warning: the chat template leaves out the tool calls of 1 assistant turn;"
	data := []string{"train", "-m", "base.gguf", "-d", "calls.jsonl", "-c", "64", "-t", "1"}
	for _, c := range []struct {
		args            []string
		outHas, errHas  string
		outLacks, lacks string
	}{
		{append(slices.Clone(data), "--max-steps", "1", "--name", "a"), "samples 25", "first sample", "first sample", ""},
		{append(slices.Clone(data), "--max-steps", "1", "--name", "b", "-q"), "samples 25", "", "first sample", "first sample"},
		{append(slices.Clone(data), "--dry-run"), "first sample", "", "", "first sample"},
		{append(slices.Clone(data), "--dry-run", "-q"), "memory by arithmetic", "", "first sample", "first sample"},
		{[]string{"test", "baseline", "-m", "base.gguf", "--data", "calls.jsonl", "-q", "--generations", "0"}, "perplexity", "", "", "samples 25"},
	} {
		out, errOut := mustRun(t, c.args...)
		if !strings.Contains(out, c.outHas) || !strings.Contains(errOut, c.errHas) || c.outLacks != "" && strings.Contains(out, c.outLacks) ||
			c.lacks != "" && strings.Contains(errOut, c.lacks) || strings.Count(errOut, warning) != 1 || strings.Contains(out, "warning") {
			t.Errorf("%v\nstandard output:\n%s\nstandard error:\n%s", c.args, out, errOut)
		}
	}
}

// Files are looked at before anything else, and the hint is of use.
func TestTrainLooksAtItsFilesFirst(t *testing.T) {
	tinyRun(t)
	putText(t, "empty.jsonl", "")
	putText(t, "no.gguf", "not a model")
	if err := os.Mkdir("data", 0o755); err != nil {
		t.Fatal(err)
	}
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "1")...)
	for _, c := range []struct{ args, want, hint string }{
		{"-m nope.gguf -d train.jsonl", "load model: ", "list what is there with 'ls .'"},
		{"-m no.gguf -d train.jsonl", "load model: ", "look into the file with 'qlora inspect no.gguf'"},
		{"-m data -d train.jsonl", "load model: ", "name the GGUF file, not its folder"},
		{"-m base.gguf -d data", "read data: data is a folder", "name the files in it: 'ls data' lists them"},
		{"-m base.gguf -d train.jsonl --eval-data nope.jsonl", "nope.jsonl", "list what is there with 'ls .'"},
		{"-m base.gguf -d base.gguf", "base.gguf:1: a binary file, not JSON lines", "'qlora help formats'"},
		{"-m base.gguf -d empty.jsonl", "empty.jsonl holds no records", "'qlora help formats'"},
	} {
		args := append([]string{"train", "--name", "other"}, strings.Fields(c.args)...)
		code, _, errOut := runMain(t, args...)
		read := strings.HasPrefix(c.want, "base.gguf:") || strings.HasPrefix(c.want, "empty")
		if code != ui.ExitInvalid || !strings.Contains(errOut, c.want) || !strings.Contains(errOut, "hint: ") || !strings.Contains(errOut, c.hint) ||
			strings.Contains(errOut, "--skip-invalid") || !read && strings.Contains(errOut, "training on") {
			t.Errorf("%s: exit code %d: %s", c.args, code, errOut)
		}
	}
	if code, _, errOut := runMain(t, tinyArgs("--name", "mine", "--force", "-d", "nope.jsonl")...); code != ui.ExitInvalid || exists("outputs/mine.1") {
		t.Errorf("an earlier run was put aside for nothing: exit code %d: %s", code, errOut)
	}
	if code, _, errOut := runMain(t, tinyArgs("--name", "../x")...); code != ui.ExitUsage || !strings.Contains(errOut, `name "../x": want letters`) {
		t.Errorf("a name that is a path: exit code %d: %s", code, errOut)
	}
}
