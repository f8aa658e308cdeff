package perf

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/tools/benchmark/parse"
)

// What benchstat would read is what was measured.
func TestWriteBenchmarks(t *testing.T) {
	var out bytes.Buffer
	list := results()
	first := newSpread([]float64{0.25, 0.5})
	list[0].FirstToken = &first
	list[1].Model, list[1].Threads = "dir/b c\u00a0d.gguf", 8
	train := []TrainResult{{Model: "x/t.gguf", Rows: 2, RowTokens: 16, Accum: 3, Rank: 4, Recompute: "block", Threads: 4, TokensPerStep: 96, TokensPerSec: newSpread([]float64{48, 96})}}
	if err := errors.Join(Write(&out, "benchfmt", list), WriteTraining(&out, "benchfmt", train)); err != nil {
		t.Fatal(err)
	}
	if head := fmt.Sprintf("goos: %s\ngoarch: %s\npkg: qlora\n", runtime.GOOS, runtime.GOARCH); !strings.HasPrefix(out.String(), head) ||
		!strings.Contains(out.String(), "\nUnit tokens/s better=higher\n") {
		t.Errorf("the configuration is not told:\n%s", &out)
	}
	set, err := parse.ParseSet(&out)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float64{ // nanoseconds
		"BenchmarkPrompt/model=a.gguf/tokens=512-2":                               {512e9 / 90, 512e9 / 110},
		"BenchmarkGenerate/model=a.gguf/tokens=128-2":                             {128e9 / 20},
		"BenchmarkFirstToken/model=a.gguf/tokens=512-2":                           {0.25e9, 0.5e9},
		"BenchmarkLoad/model=a.gguf-2":                                            {0.5e9},
		"BenchmarkGenerate/model=b_c_d.gguf/tokens=1-8":                           {1e9},
		"BenchmarkLoad/model=b_c_d.gguf-8":                                        {0},
		"BenchmarkTrain/model=t.gguf/batch=2x16/accum=3/rank=4/recompute=block-4": {2e9, 1e9},
	}
	if len(set) != len(want) {
		t.Errorf("%d benchmarks, want %d", len(set), len(want))
	}
	for name, times := range want {
		got := set[name]
		if len(got) != len(times) {
			t.Errorf("%s: %d lines, want %d", name, len(got), len(times))
			continue
		}
		for i, ns := range times {
			if math.Abs(got[i].NsPerOp-ns) > 0.5 {
				t.Errorf("%s: %g ns, want %g", name, got[i].NsPerOp, ns)
			}
		}
	}
}

// Two models of one name would be samples of one benchmark.
func TestModelsOfOneNameStayApart(t *testing.T) {
	got := modelLabels([]string{"x/model.gguf", "y/model.gguf", "./x/model.gguf", "y/other.gguf", "other.gguf"})
	want := []string{"/model=x_model.gguf", "/model=y_model.gguf", "/model=x_model.gguf", "/model=y_other.gguf", "/model=other.gguf"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := modelLabels([]string{"x/model.gguf", "./x/model.gguf"}); got[0] != "/model=model.gguf" || got[1] != got[0] {
		t.Errorf("one file twice is two samples: %q", got)
	}
}

func TestCPUName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cpuinfo")
	if name := cpuName(path); name != "" {
		t.Errorf("a system that does not tell: %q", name)
	}
	if err := os.WriteFile(path, []byte("processor\t: 0\nmodel name\t: A CPU: 2 GHz\n\nmodel name\t: B\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if name := cpuName(path); name != "A CPU: 2 GHz" {
		t.Errorf("got %q", name)
	}
}
