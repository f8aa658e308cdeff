package perf

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
)

// benchmark is the measured rounds of one test in the format of Go's benchmarks
// (golang.org/design/14313-benchmark-format), which benchstat reads.
type benchmark struct {
	name   string // such as Prompt
	labels string // /key=value, of what was measured
	rounds []float64
	tokens int // of a round, where rounds are tokens per second; else they are seconds
}

// write prints a line for each round: benchstat takes their median itself.
func (b benchmark) write(w io.Writer) error {
	for _, v := range b.rounds {
		line := fmt.Sprintf("Benchmark%s%s 1 %.0f ns/op", b.name, b.labels, v*1e9)
		if b.tokens > 0 {
			line = fmt.Sprintf("Benchmark%s%s 1 %.0f ns/op %.4f tokens/s", b.name, b.labels, float64(b.tokens)/v*1e9, v)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func writeBenchmarks(w io.Writer, list []benchmark) error {
	if _, err := fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: qlora\n", runtime.GOOS, runtime.GOARCH); err != nil {
		return err
	}
	for _, b := range list {
		if err := b.write(w); err != nil {
			return err
		}
	}
	return nil
}

// label makes a value that may stand in a benchmark's name, in which blanks and
// slashes divide.
func label(v string) string {
	return strings.NewReplacer(" ", "_", "\t", "_", "/", "_").Replace(v)
}

func runBenchmarks(results []Result) (list []benchmark) {
	for _, r := range results {
		model := "/model=" + label(filepath.Base(r.Model))
		for _, test := range []struct {
			name string
			rate *Rate
		}{{"Prompt", r.Prompt}, {"Generate", r.Generate}} {
			if test.rate != nil {
				list = append(list, benchmark{test.name, fmt.Sprintf("%s/tokens=%d", model, test.rate.Tokens), test.rate.Rounds, test.rate.Tokens})
			}
		}
		if r.FirstToken != nil {
			list = append(list, benchmark{name: "FirstToken", labels: fmt.Sprintf("%s/tokens=%d", model, r.Prompt.Tokens), rounds: r.FirstToken.Rounds})
		}
		list = append(list, benchmark{name: "Load", labels: model, rounds: []float64{r.LoadSeconds}})
	}
	return list
}

func trainBenchmarks(results []TrainResult) (list []benchmark) {
	for _, r := range results {
		labels := fmt.Sprintf("/model=%s/batch=%dx%d/accum=%d/rank=%d/recompute=%s", label(filepath.Base(r.Model)), r.Rows, r.RowTokens, r.Accum, r.Rank, r.Recompute)
		list = append(list, benchmark{"Train", labels, r.TokensPerSec.Rounds, r.TokensPerStep})
	}
	return list
}
