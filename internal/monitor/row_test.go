package monitor

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/runlog"
)

func ptr[T any](v T) *T { return &v }

// TestParseRowReadsWhatTrainingWrites goes through runlog's own encoder, so that
// a field that is renamed there fails here.
func TestParseRowReadsWhatTrainingWrites(t *testing.T) {
	at := time.Unix(1_700_000_000, 250_000_000).UTC()
	line, err := json.Marshal(runlog.Metrics{
		Step: 3, TotalSteps: 9, Epoch: 0.5, Loss: 2.25, GradNorm: 0.125, LR: 1e-4, TokensPerSecond: 10, ETASeconds: 60,
		TrainedTokens: 1 << 40, EvalLoss: ptr(1.5), RSSBytes: 1 << 33, VRAMBytes: 7, LossScale: 65536, Time: at,
		GPUs: []runlog.GPU{
			{Index: 0, Utilisation: ptr(50), PowerW: ptr(100.5), TemperatureC: ptr(60)},
			{Index: 1, Utilisation: ptr(100), PowerW: ptr(50.0), TemperatureC: ptr(70)},
			{Index: 2},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseRow(string(line))
	if err != nil {
		t.Fatal(err)
	}
	want := row{step: 3, time: 1_700_000_000.25, tokens: 1 << 40, epoch: 0.5, total: 9, eta: 60, values: [metricCount]float64{
		Loss: 2.25, EvalLoss: 1.5, LearningRate: 1e-4, GradNorm: 0.125, TokensPerSecond: 10, GPUMemory: 7,
		GPUUtilisation: 75, RSS: 1 << 33, GPUPower: 150.5, GPUTemperature: 70, LossScale: 65536}}
	if got != want {
		t.Errorf("%s\n got %+v\nwant %+v", line, got, want)
	}
}

func TestParseRowTakesNullForUnknown(t *testing.T) {
	nan := math.NaN()
	line, err := json.Marshal(runlog.Metrics{Step: 1, Loss: nan, GradNorm: math.Inf(1), EvalLoss: &nan})
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseRow(string(line))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []Metric{Loss, GradNorm, EvalLoss, GPUMemory, GPUUtilisation} {
		if !math.IsNaN(got.values[m]) {
			t.Errorf("%s is %v, want NaN", metricNames[m], got.values[m])
		}
	}
	if !math.IsNaN(got.time) {
		t.Errorf("a time that was not set reads as %v", got.time)
	}
	if got, err := parseRow(`{"step":1,"loss":1e999}`); err != nil || !math.IsNaN(got.values[Loss]) {
		t.Errorf("a number beyond all: %v, %v", got.values[Loss], err)
	}
}

func TestParseRowRefuses(t *testing.T) {
	for _, line := range []string{
		``, `{`, `[]`, `1`, `null`, `{}`, `{"loss":1}`, `{"step":-1}`, `{"step":1.5}`, `{"step":null}`, `{"step":"1"}`, `{"step":1e999}`,
		`{"step":1,"loss":"2"}`, `{"step":1,"loss":true}`, `{"step":1,"time":"yesterday"}`, `{"step":1,"time":5}`,
		`{"step":1,"gpus":{}}`, `{"step":1,"gpus":[{"gpu_util_percent":"x"}]}`, `{"step":1} {"step":2}`, `{"step":1}x`,
	} {
		if got, err := parseRow(line); err == nil {
			t.Errorf("%s is taken for %+v", line, got)
		}
	}
	if _, err := parseRow(`{"step":1,"of a later version":{"a":[1]},"gpus":null,"time":null}`); err != nil {
		t.Errorf("an unknown field: %v", err)
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add(`{"step":1,"loss":2.5,"gpus":[{"gpu_util_percent":5}],"time":"2026-01-01T00:00:00Z"}`)
	f.Add(`{"step":1e3,"loss":null}`)
	f.Add(`{"step":1,"\u006coss":3}`)
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parseRow(line)
		if err != nil {
			return
		}
		if !json.Valid([]byte(line)) {
			t.Errorf("took what is not JSON: %q", line)
		}
		for m, v := range r.values {
			if math.IsInf(v, 0) {
				t.Errorf("%s is infinite in %q", metricNames[m], line)
			}
		}
		if strings.ContainsAny(line, "\n") {
			return
		}
		table := newTable()
		table.add(r)
		table.add(r)
		if table.rows() != 1 {
			t.Errorf("%d rows of one step", table.rows())
		}
	})
}

func BenchmarkParseRow(b *testing.B) {
	line := `{"step":1,"total_steps":100000,"epoch":0.00003,"trained_tokens":1890,"rss_bytes":2100500000,"vram_bytes":0,` +
		`"time":"2026-06-01T00:00:00.700Z","loss":3.412345678912345,"grad_norm":3.512345678912345,` +
		`"learning_rate":0.00019999999995,"tokens_per_second":2612.12345678912,"eta_seconds":69999.3}`
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := parseRow(line); err != nil {
			b.Fatal(err)
		}
	}
}
