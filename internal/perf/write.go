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
func Formats() []string { return []string{"md", "json", "jsonl", "csv"} }

// Write prints results in one of Formats.
func Write(w io.Writer, format string, results []Result) error {
	return write(w, format, results, markdownRows(results), csvRows(results))
}

// write prints results, or the table of them that the format wants, whose first
// row is the header.
func write[T any](w io.Writer, format string, results []T, markdown, table [][]string) error {
	switch format {
	case "md":
		ui.MarkdownTable(w, markdown[0], markdown[1:])
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
		return csv.NewWriter(w).WriteAll(table)
	}
	return fmt.Errorf("unknown format %q", format)
}

func markdownRows(results []Result) [][]string {
	rows := [][]string{{"model", "type", "size", "threads", "load s", "prompt t/s", "generate t/s", "peak RSS", "GPU memory"}}
	for _, r := range results {
		rows = append(rows, []string{
			filepath.Base(r.Model), r.Description, humanize.IBytes(r.SizeBytes), strconv.Itoa(r.Threads),
			fmt.Sprintf("%.2f", r.LoadSeconds), r.Prompt.text("pp"), r.Generate.text("tg"),
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
		"peak_rss_bytes", "peak_vram_bytes"}}
	for _, r := range results {
		row := []string{r.Model, r.Description, strconv.FormatUint(r.SizeBytes, 10), strconv.FormatUint(r.Params, 10),
			strconv.Itoa(r.Threads), number(r.LoadSeconds)}
		row = append(append(row, r.Prompt.cells()...), r.Generate.cells()...)
		rows = append(rows, append(row, count(r.PeakRSSBytes), count(r.PeakGPUBytes)))
	}
	return rows
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
