package perf

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

func tiny(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	llamatest.Model(t, path, llamatest.Options{Ctx: 64})
	return path
}

func TestMeasure(t *testing.T) {
	path := tiny(t)
	rounds := 0
	r, err := Measure(context.Background(), path, Options{Prompt: 24, Generate: 5, Repetitions: 3, Threads: 1}, func() { rounds++ })
	if err != nil {
		t.Fatal(err)
	}
	if rounds != 6 {
		t.Errorf("%d rounds were told, want 6: warm-up does not count", rounds)
	}
	if r.Model != path || r.Params == 0 || r.SizeBytes != 4*r.Params || r.Threads != 1 || r.LoadSeconds <= 0 || !strings.Contains(r.Description, "llama") {
		t.Errorf("description: %+v", r)
	}
	for name, rate := range map[string]*Rate{"prompt": r.Prompt, "generate": r.Generate} {
		if rate == nil || len(rate.Rounds) != 3 || rate.Mean <= 0 {
			t.Errorf("%s: %+v", name, rate)
		}
	}
	if r.Prompt.Tokens != 24 || r.Generate.Tokens != 5 {
		t.Errorf("tokens %d and %d", r.Prompt.Tokens, r.Generate.Tokens)
	}
	if r.PeakRSSBytes != nil && (*r.PeakRSSBytes < 1<<20 || *r.PeakRSSBytes > 8<<30) {
		t.Errorf("peak RSS %d", *r.PeakRSSBytes)
	}
}

func TestMeasureLeavesOutWhatIsNotAsked(t *testing.T) {
	path := tiny(t)
	r, err := Measure(context.Background(), path, Options{Generate: 2, Repetitions: 1, NoWarmup: true, Threads: 1}, nil)
	if err != nil || r.Prompt != nil || r.Generate == nil {
		t.Errorf("prompt %v, generate %v, %v", r.Prompt, r.Generate, err)
	}
	for name, o := range map[string]Options{"nothing": {Repetitions: 1}, "no rounds": {Prompt: 1}, "negative": {Prompt: -1, Generate: 2, Repetitions: 1}} {
		if _, err := Measure(context.Background(), path, o, nil); err == nil {
			t.Errorf("%s was measured", name)
		}
	}
	if _, err := Measure(context.Background(), path+"x", Options{Prompt: 1, Repetitions: 1}, nil); !errors.Is(err, llama.ErrInvalidFile) {
		t.Errorf("a missing file: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Measure(ctx, path, Options{Prompt: 1, Repetitions: 1}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRate(t *testing.T) {
	r := newRate(8, []float64{2, 4, 4, 4, 5, 5, 7, 9})
	if r.Mean != 5 || math.Abs(r.Stddev-math.Sqrt(32.0/7)) > 1e-12 {
		t.Errorf("mean %g, standard deviation %g", r.Mean, r.Stddev)
	}
	if r := newRate(1, []float64{3}); r.Mean != 3 || r.Stddev != 0 {
		t.Errorf("one round: %+v", r)
	}
}

func TestPeakRSS(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status")
	for text, want := range map[string]uint64{"Name:\tx\nVmHWM:\t  1234 kB\nVmRSS:\t 1 kB\n": 1234 << 10, "Name:\tx\n": 0, "VmHWM:\tmuch kB\n": 0} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := peakRSS(path)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

// results is one full and one sparse result.
func results() []Result {
	rss := uint64(3 << 20)
	return []Result{
		{Model: "dir/a.gguf", Description: "llama 1B Q4_0", SizeBytes: 1 << 30, Params: 7, Threads: 2, LoadSeconds: 0.5,
			Prompt: newRate(512, []float64{90, 110}), Generate: newRate(128, []float64{20}), PeakRSSBytes: &rss},
		{Model: "b.gguf", Description: `odd, "name"`, Generate: newRate(1, []float64{1})},
	}
}

func TestWrite(t *testing.T) {
	var md bytes.Buffer
	if err := Write(&md, "md", results()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(md.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[2], "pp512: 100.0 ± 14.1") || !strings.Contains(lines[2], "3.0 MiB") || !strings.Contains(lines[2], "none") {
		t.Errorf("markdown:\n%s", md.String())
	}
	var text bytes.Buffer
	if err := Write(&text, "csv", results()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil || len(rows) != 3 || rows[2][1] != `odd, "name"` || rows[1][7] != "100" || rows[2][12] != "" || rows[1][12] != "3145728" {
		t.Errorf("csv: %v, %v", rows, err)
	}
	if err := Write(&text, "xml", nil); err == nil {
		t.Error("an unknown format was written")
	}
}

func TestWriteJSON(t *testing.T) {
	var array, lines bytes.Buffer
	if err := errors.Join(Write(&array, "json", results()), Write(&lines, "jsonl", results())); err != nil {
		t.Fatal(err)
	}
	var all []Result
	if err := json.Unmarshal(array.Bytes(), &all); err != nil || len(all) != 2 || all[0].Prompt.Mean != 100 || *all[0].PeakRSSBytes != 3<<20 {
		t.Errorf("json: %+v, %v", all, err)
	}
	parts := strings.Split(strings.TrimSpace(lines.String()), "\n")
	var second Result
	if len(parts) != 2 || json.Unmarshal([]byte(parts[1]), &second) != nil || second.Model != "b.gguf" || second.Prompt != nil || second.PeakRSSBytes != nil {
		t.Errorf("jsonl:\n%s", lines.String())
	}
}
