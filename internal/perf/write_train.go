package perf

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/dustin/go-humanize"
)

// WriteTraining prints results in one of Formats.
func WriteTraining(w io.Writer, format string, results []TrainResult) error {
	return write(w, format, results, table{trainMarkdown(results), trainCSV(results), trainBenchmarks(results)})
}

func trainMarkdown(results []TrainResult) [][]string {
	rows := [][]string{{"model", "device", "micro-batch", "accum", "rank", "recompute", "tokens/s", "min", "max", "ms/step", "loss",
		"planned memory", "peak RSS", "GPU memory"}}
	for _, r := range results {
		rows = append(rows, []string{
			filepath.Base(r.Model), r.Device, fmt.Sprintf("%d x %d", r.Rows, r.RowTokens), strconv.Itoa(r.Accum),
			strconv.Itoa(r.Rank), r.Recompute, fmt.Sprintf("%.1f", r.TokensPerSec.Median), fmt.Sprintf("%.1f", r.TokensPerSec.Min),
			fmt.Sprintf("%.1f", r.TokensPerSec.Max), fmt.Sprintf("%.1f", 1000*r.StepSeconds.Median), fmt.Sprintf("%.3f", r.Loss),
			humanize.IBytes(uint64(r.TotalBytes)), size(r.PeakRSSBytes, "unknown"), size(r.PeakGPUBytes, "none"),
		})
	}
	return rows
}

func trainCSV(results []TrainResult) [][]string {
	rows := [][]string{{"model", "device", "activation", "threads", "params", "rank", "trained_values", "rows", "row_tokens", "grad_accum",
		"recompute", "setup_seconds", "step_seconds_median", "step_seconds_min", "step_seconds_max",
		"tokens_per_second_median", "tokens_per_second_min", "tokens_per_second_max", "loss", "total_bytes", "peak_rss_bytes", "peak_vram_bytes"}}
	for _, r := range results {
		row := []string{r.Model, r.Device, r.Activation, strconv.Itoa(r.Threads), strconv.FormatInt(r.Params, 10), strconv.Itoa(r.Rank),
			strconv.FormatInt(r.TrainedValues, 10), strconv.Itoa(r.Rows), strconv.Itoa(r.RowTokens), strconv.Itoa(r.Accum), r.Recompute}
		for _, v := range []float64{r.SetupSeconds, r.StepSeconds.Median, r.StepSeconds.Min, r.StepSeconds.Max,
			r.TokensPerSec.Median, r.TokensPerSec.Min, r.TokensPerSec.Max, r.Loss} {
			row = append(row, number(v))
		}
		rows = append(rows, append(row, strconv.FormatInt(r.TotalBytes, 10), count(r.PeakRSSBytes), count(r.PeakGPUBytes)))
	}
	return rows
}
