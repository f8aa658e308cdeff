package cli

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

func TestInspect(t *testing.T) {
	model := filepath.Join(t.TempDir(), "m.gguf")
	llamatest.Model(t, model, llamatest.Options{})
	code, out, errOut := call("inspect", "-m", model)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	for _, want := range []string{
		"general.architecture", "tiny test model", "blk.1.ffn_down.weight", "64 x 32", "8.0 KiB",
		`"<|endoftext|>", "<|im_start|>"`, "model of architecture llama", "21 tensors",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("output does not show %q", want)
		}
	}
	_, short, _ := call("inspect", model, "--no-tensors")
	if strings.Contains(short, "blk.1.ffn_down.weight") || !strings.Contains(short, "21 tensors") {
		t.Errorf("--no-tensors printed %s", short)
	}
}

func TestInspectJSON(t *testing.T) {
	model := filepath.Join(t.TempDir(), "m.gguf")
	llamatest.Model(t, model, llamatest.Options{})
	code, out, errOut := call("inspect", model, "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	var sum inspectSummary
	counts := map[string]int{}
	for line := range strings.Lines(out) {
		var event struct {
			Type   string `json:"message_type"`
			Key    string
			Length int
			Value  any
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		counts[event.Type]++
		if list, ok := event.Value.([]any); ok && (len(list) > shownElements || event.Length < len(list)) {
			t.Errorf("%s shows %d of %d elements", event.Key, len(list), event.Length)
		}
		if event.Type == "summary" {
			if err := json.Unmarshal([]byte(line), &sum); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := openGGUF(t, model)
	var parameters, bytes int64
	for _, ti := range f.Tensors() {
		parameters, bytes = parameters+ti.Elements(), bytes+ti.Size
	}
	if counts["key"] != len(f.KVs()) || counts["tensor"] != len(f.Tensors()) || counts["summary"] != 1 {
		t.Errorf("events %v", counts)
	}
	if sum.Parameters != parameters || sum.Bytes != bytes || sum.Architecture != "llama" || len(sum.Types) != 1 || sum.Types[0].Bytes != bytes {
		t.Errorf("summary %+v, want %d parameters and %d bytes", sum, parameters, bytes)
	}
}

// Every kind of value survives being shown: NaN has no JSON, text may hold
// anything.
func TestInspectOddValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd.gguf")
	w, err := gguf.Create(path, []gguf.KV{
		{Key: "nan", Value: float32(math.NaN())}, {Key: "infs", Value: []float64{math.Inf(1), 2}},
		{Key: "bytes", Value: []uint8{1, 255}}, {Key: "text", Value: "a\x1b[31m\n\xff" + strings.Repeat("é", 100)},
		{Key: "none", Value: []string{}}, {Key: "flags", Value: []bool{true, false}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := call("inspect", path)
	if code != 0 || strings.Contains(out, "\x1b") || strings.Contains(out, "\xff") {
		t.Errorf("exit code %d: %q %s", code, out, errOut)
	}
	code, out, errOut = call("inspect", path, "--json")
	if code != 0 || !strings.Contains(out, `"value":"NaN"`) || !strings.Contains(out, `"value":["+Inf",2]`) || !strings.Contains(out, `"value":[1,255]`) {
		t.Errorf("exit code %d: %s %s", code, out, errOut)
	}
}

func TestInspectBadInput(t *testing.T) {
	code, _, errOut := call("inspect", "-m", filepath.Join(t.TempDir(), "none.gguf"))
	if code != 4 || !strings.Contains(errOut, "none.gguf") {
		t.Errorf("missing file: exit code %d: %s", code, errOut)
	}
	for _, args := range [][]string{{"inspect"}, {"inspect", "-m", "a.gguf", "b.gguf"}, {"inspect", "a.gguf", "b.gguf"}} {
		if code, _, _ := call(args...); code != 2 {
			t.Errorf("%v: exit code %d, want 2", args, code)
		}
	}
}
