package perf

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/dustin/go-humanize"

	"github.com/qlora/qlora/internal/ui"
)

// Formats lists the output formats of Write.
func Formats() []string { return []string{"md", "json", "jsonl", "csv", "benchfmt"} }

// Write prints results in one of Formats.
func Write(w io.Writer, format string, results []Result) error {
	return write(w, format, results, table{markdownRows(results), csvRows(results), runBenchmarks(results)})
}

// table is results as rows, the first of which is the header, or as benchmarks.
type table struct {
	markdown, csv [][]string
	benchmarks    []benchmark
}

// write prints results, or the table of them that the format wants.
func write[T any](w io.Writer, format string, results []T, t table) error {
	switch format {
	case "md":
		ui.MarkdownTable(w, t.markdown[0], t.markdown[1:])
		return nil
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(results)
	case "jsonl":
		enc := json.NewEncoder(w)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return csv.NewWriter(w).WriteAll(t.csv)
	case "benchfmt":
		return writeBenchmarks(w, t.benchmarks)
	}
	return fmt.Errorf("unknown format %q", format)
}

func markdownRows(results []Result) [][]string {
	rows := [][]string{{"model", "type", "size", "threads", "GPU layers", "load s", "prompt t/s", "first token s", "generate t/s", "peak RSS", "GPU memory"}}
	for _, r := range results {
		rows = append(rows, []string{
			filepath.Base(r.Model), r.Description, humanize.IBytes(r.SizeBytes), strconv.Itoa(r.Threads), r.layers(),
			fmt.Sprintf("%.2f", r.LoadSeconds), r.Prompt.text("pp"), r.firstToken(), r.Generate.text("tg"),
			size(r.PeakRSSBytes, "unknown"), size(r.PeakGPUBytes, "none"),
		})
	}
	return rows
}

// text is the test with its mean and standard deviation.
func (r *Rate) text(test string) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%s%d: %.1f ± %.1f", test, r.Tokens, r.Mean, r.Stddev)
}

func size(n *uint64, absent string) string {
	if n == nil {
		return absent
	}
	return humanize.IBytes(*n)
}

func csvRows(results []Result) [][]string {
	rows := [][]string{{"model", "description", "size_bytes", "params", "threads", "load_seconds",
		"prompt_tokens", "prompt_mean", "prompt_stddev", "generate_tokens", "generate_mean", "generate_stddev",
		"peak_rss_bytes", "peak_vram_bytes", "gpu_layers", "layers", "first_token_seconds"}}
	for _, r := range results {
		row := []string{r.Model, r.Description, strconv.FormatUint(r.SizeBytes, 10), strconv.FormatUint(r.Params, 10),
			strconv.Itoa(r.Threads), number(r.LoadSeconds)}
		row = append(append(row, r.Prompt.cells()...), r.Generate.cells()...)
		row = append(row, count(r.PeakRSSBytes), count(r.PeakGPUBytes), strconv.Itoa(r.GPULayers), strconv.Itoa(r.Layers))
		rows = append(rows, append(row, r.firstTokenCell()))
	}
	return rows
}

// layers is how many are on the GPU, of all.
func (r Result) layers() string { return fmt.Sprintf("%d/%d", r.GPULayers, r.Layers) }

func (r Result) firstToken() string {
	if r.FirstToken == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", r.FirstToken.Median)
}

func (r Result) firstTokenCell() string {
	if r.FirstToken == nil {
		return ""
	}
	return number(r.FirstToken.Median)
}

func (r *Rate) cells() []string {
	if r == nil {
		return []string{"0", "", ""}
	}
	return []string{strconv.Itoa(r.Tokens), number(r.Mean), number(r.Stddev)}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }

// count leaves a cell empty for what is not known.
func count(n *uint64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatUint(*n, 10)
}
