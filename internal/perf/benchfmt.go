package perf

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
)

// benchmark is the measured rounds of one test in the format of Go's benchmarks
// (golang.org/design/14313-benchmark-format), which benchstat reads.
type benchmark struct {
	name    string // such as Prompt
	labels  string // /key=value, of what was measured
	threads int    // of the CPU
	rounds  []float64
	tokens  int // of a round, where rounds are tokens per second; else they are seconds
}

// write prints a line for each round: benchstat takes their median itself.
func (b benchmark) write(w io.Writer) error {
	for _, v := range b.rounds {
		name := fmt.Sprintf("Benchmark%s%s-%d", b.name, b.labels, b.threads)
		line := fmt.Sprintf("%s 1 %.0f ns/op", name, v*1e9)
		if b.tokens > 0 {
			line = fmt.Sprintf("%s 1 %.0f ns/op %.4f tokens/s", name, float64(b.tokens)/v*1e9, v)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func writeBenchmarks(w io.Writer, list []benchmark) error {
	head := fmt.Sprintf("goos: %s\ngoarch: %s\npkg: qlora\n", runtime.GOOS, runtime.GOARCH)
	if cpu := cpuName("/proc/cpuinfo"); cpu != "" {
		head += "cpu: " + cpu + "\n"
	}
	if _, err := io.WriteString(w, head+"Unit tokens/s better=higher\n"); err != nil {
		return err
	}
	for _, b := range list {
		if err := b.write(w); err != nil {
			return err
		}
	}
	return nil
}

// cpuName is the processor as go test names it too, or empty where the system
// does not tell.
func cpuName(cpuinfo string) string {
	text, err := os.ReadFile(cpuinfo)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// modelLabels are the names of the models' files, with their folders where two
// would have one name: benchstat would take them for one model.
func modelLabels(paths []string) []string {
	first, twice := map[string]string{}, map[string]bool{}
	for _, path := range paths {
		base := filepath.Base(path)
		if other, seen := first[base]; seen && other != filepath.Clean(path) {
			twice[base] = true
		}
		first[base] = filepath.Clean(path)
	}
	labels := make([]string, len(paths))
	for i, path := range paths {
		if labels[i] = filepath.Base(path); twice[labels[i]] {
			labels[i] = filepath.Clean(path)
		}
		labels[i] = "/model=" + label(labels[i])
	}
	return labels
}

// label makes a value that may stand in a benchmark's name, in which blanks and
// slashes divide.
func label(v string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || unicode.IsSpace(r) || unicode.IsControl(r) {
			return '_'
		}
		return r
	}, v)
}

func runBenchmarks(results []Result) (list []benchmark) {
	var paths []string
	for _, r := range results {
		paths = append(paths, r.Model)
	}
	models := modelLabels(paths)
	for i, r := range results {
		add := func(name, labels string, rounds []float64, tokens int) {
			list = append(list, benchmark{name, models[i] + labels, r.Threads, rounds, tokens})
		}
		if p := r.Prompt; p != nil {
			add("Prompt", fmt.Sprintf("/tokens=%d", p.Tokens), p.Rounds, p.Tokens)
		}
		if g := r.Generate; g != nil {
			add("Generate", fmt.Sprintf("/tokens=%d", g.Tokens), g.Rounds, g.Tokens)
		}
		if f := r.FirstToken; f != nil {
			add("FirstToken", fmt.Sprintf("/tokens=%d", r.Prompt.Tokens), f.Rounds, 0)
		}
		add("Load", "", []float64{r.LoadSeconds}, 0)
	}
	return list
}

func trainBenchmarks(results []TrainResult) (list []benchmark) {
	var paths []string
	for _, r := range results {
		paths = append(paths, r.Model)
	}
	models := modelLabels(paths)
	for i, r := range results {
		labels := fmt.Sprintf("%s/batch=%dx%d/accum=%d/rank=%d/recompute=%s", models[i], r.Rows, r.RowTokens, r.Accum, r.Rank, r.Recompute)
		list = append(list, benchmark{"Train", labels, r.Threads, r.TokensPerSec.Rounds, r.TokensPerStep})
	}
	return list
}
