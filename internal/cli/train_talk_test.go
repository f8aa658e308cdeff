package cli

import (
	"slices"
	"strings"
	"testing"
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
