package runlog

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func steps(all []Metrics) (n []int) {
	for _, m := range all {
		n = append(n, m.Step)
	}
	return n
}

func TestMetricsRoundTrip(t *testing.T) {
	eval, used, load := 1.5, uint64(5), 0
	in := Metrics{
		Step: 3, TotalSteps: 9, Epoch: 0.5, Loss: 2.25, GradNorm: 0.125, LR: 1e-4, TokensPerSecond: 10, ETASeconds: 60,
		TrainedTokensPerSecond: 7, TrainedTokens: 1 << 40, EvalLoss: &eval, RSSBytes: 1 << 33, PeakRSSBytes: 1 << 34, VRAMBytes: 7, LossScale: 65536, SkippedSteps: 2, Time: time.Unix(1_700_000_000, 0).UTC(),
		GPUs: []GPU{{Index: 1, UUID: "GPU-1", MemBytes: &used, Utilisation: &load}},
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Metrics
	if err := json.Unmarshal(text, &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%s\n got %+v, %v\nwant %+v", text, out, err, in)
	}
	for _, name := range []string{"learning_rate", "grad_norm", "tokens_per_second", "trained_tokens_per_second", "eta_seconds", "rss_bytes", "peak_rss_bytes", "eval_loss", "gpus", "loss_scale", "skipped_steps"} {
		if strings.Count(string(text), `"`+name+`"`) != 1 {
			t.Errorf("%q must appear once in %s", name, text)
		}
	}
	if told := `"gpu_mem_bytes":5,"gpu_mem_process_bytes":null,"gpu_util_percent":0,`; !strings.Contains(string(text), told) {
		t.Errorf("a figure of 0 is 0 and one that is not told null: want %s in %s", told, text)
	}
}

func TestMetricsThatAreNotNumbers(t *testing.T) {
	nan := math.NaN()
	text, err := json.Marshal(Metrics{Step: 1, Loss: nan, GradNorm: math.Inf(1), ETASeconds: math.Inf(-1), EvalLoss: &nan})
	if err != nil {
		t.Fatalf("a diverged run must still leave its metrics: %v", err)
	}
	if !strings.Contains(string(text), `"loss":null`) {
		t.Errorf("got %s", text)
	}
	var out Metrics
	if err := json.Unmarshal(text, &out); err != nil || !math.IsNaN(out.Loss) || !math.IsNaN(out.GradNorm) {
		t.Errorf("got %+v, %v; null must read as NaN, not as 0", out, err)
	}
}

func TestStatusLine(t *testing.T) {
	eval := 1.25
	m := Metrics{Step: 10, TotalSteps: 20, Loss: 2.34567, EvalLoss: &eval, GradNorm: 0.5, LR: 0.0002, TokensPerSecond: 123.44, ETASeconds: 61.2, RSSBytes: 1 << 30}
	want := "step 10/20  loss 2.3457  eval 1.2500  grad 0.5  lr 0.0002  123.4 tok/s  eta 1m1s  rss 1.0 GiB"
	if got := m.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	before := Metrics{TotalSteps: 20, Loss: math.NaN(), EvalLoss: &eval, RSSBytes: 1 << 30}
	if got, want := before.String(), "step 0/20  eval 1.2500  rss 1.0 GiB"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := (Metrics{Step: 3, Loss: math.NaN()}).String(); !strings.Contains(got, "loss NaN") {
		t.Errorf("a diverged loss must show: %s", got)
	}
	for _, seconds := range []float64{math.Inf(1), math.NaN(), -1, 1e18} {
		if got := (Metrics{ETASeconds: seconds}).String(); !strings.Contains(got, "eta ?") {
			t.Errorf("%v: %s", seconds, got)
		}
	}
}

func TestRunFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "one")
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ReadStatus(dir); err != nil || s.State != Running || s.PID != os.Getpid() {
		t.Errorf("status at the start: %+v, %v", s, err)
	}
	err = errors.Join(r.WriteConfig([]byte("model: x\n")), r.Write(Metrics{Step: 1}), r.Write(Metrics{Step: 2}),
		r.WriteSummary(map[string]int{"steps": 2}), r.Close(Failed, errors.New("boom")), r.Close(Finished, nil))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadStatus(dir)
	if err != nil || s.State != Failed || s.Error != "boom" || s.Step != 2 {
		t.Errorf("status at the end: %+v, %v", s, err)
	}
	all, err := ReadMetrics(dir)
	if err != nil || !reflect.DeepEqual(steps(all), []int{1, 2}) || all[0].Time.IsZero() {
		t.Errorf("metrics %+v, %v", all, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files left: %v, %v", left, err)
	}
}

func TestCreateKeepsTheEarlierRun(t *testing.T) {
	root := t.TempDir()
	for i := range 3 {
		r, err := Create(filepath.Join(root, "same"))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.Write(Metrics{Step: i}), r.Close(Finished, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for name, step := range map[string]int{"same.1": 0, "same.2": 1, "same": 2} {
		all, err := ReadMetrics(filepath.Join(root, name))
		if err != nil || !reflect.DeepEqual(steps(all), []int{step}) {
			t.Errorf("%s: %v, %v; want step %d", name, steps(all), err, step)
		}
	}
}

func TestContinueDropsLaterSteps(t *testing.T) {
	dir := t.TempDir()
	r, err := Continue(dir, 0) // nothing there yet
	if err != nil {
		t.Fatal(err)
	}
	for step := 1; step <= 4; step++ {
		if err := r.Write(Metrics{Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(Interrupted, nil); err != nil {
		t.Fatal(err)
	}
	appendText(t, filepath.Join(dir, MetricsFile), `{"step":5,"lo`) // cut by a kill
	r, err = Continue(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Write(Metrics{Step: 3}), r.Close(Finished, nil)); err != nil {
		t.Fatal(err)
	}
	if all, err := ReadMetrics(dir); err != nil || !reflect.DeepEqual(steps(all), []int{1, 2, 3}) {
		t.Errorf("got %v, %v", steps(all), err)
	}
}

// A run that had nothing left to do is still where it was.
func TestContinueKeepsTheStep(t *testing.T) {
	dir := t.TempDir()
	r, err := Continue(dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := ReadStatus(dir); err != nil || status.Step != 7 {
		t.Errorf("while it runs: %+v, %v", status, err)
	}
	if err := r.Close(Finished, nil); err != nil {
		t.Fatal(err)
	}
	if status, err := ReadStatus(dir); err != nil || status.Step != 7 {
		t.Errorf("after it ended: %+v, %v", status, err)
	}
}

func TestReadMetricsNamesTheBadLine(t *testing.T) {
	dir := t.TempDir()
	appendText(t, filepath.Join(dir, MetricsFile), "{\"step\":1}\n\nnonsense\n")
	_, err := ReadMetrics(dir)
	if err == nil || !strings.Contains(err.Error(), MetricsFile+":3: ") {
		t.Errorf("got %v", err)
	}
}

func TestNewest(t *testing.T) {
	root := t.TempDir()
	if _, err := Newest(root); !errors.Is(err, ErrNoRuns) {
		t.Errorf("empty folder: %v", err)
	}
	at := time.Unix(1_700_000_000, 0)
	for i, name := range []string{"b", "newest", "a"} {
		r, err := Create(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		age := []time.Duration{2, 0, 1}[i] * time.Hour
		if err := errors.Join(r.Close(Finished, nil), os.Chtimes(filepath.Join(root, name, MetricsFile), at, at.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	if dir, err := Newest(root); err != nil || filepath.Base(dir) != "newest" {
		t.Errorf("got %s, %v", dir, err)
	}
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(Metrics{Step: 1}); err != nil {
		t.Fatal(err)
	}
	var got []int
	err = Follow(context.Background(), dir, func(m Metrics) error {
		got = append(got, m.Step)
		if m.Step == 1 { // the reader drives the writer, so nothing is timed
			appendText(t, filepath.Join(dir, MetricsFile), `{"step":2}`+"\n"+`{"st`)
		}
		if m.Step == 2 {
			appendText(t, filepath.Join(dir, MetricsFile), `ep":3}`+"\n")
			return r.Close(Finished, nil)
		}
		return nil
	}, noBadLine(t))
	if err != nil || !reflect.DeepEqual(got, []int{1, 2, 3}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestFollowStops(t *testing.T) {
	dir := t.TempDir()
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Follow(ctx, dir, nil, noBadLine(t)); err != nil {
		t.Errorf("a done context: %v", err)
	}
	r.status.PID = 1 << 30 // above any pid_max: a process that cannot exist
	if err := r.writeStatus(); err != nil {
		t.Fatal(err)
	}
	if err := Follow(context.Background(), dir, nil, noBadLine(t)); err != nil {
		t.Errorf("a killed run: %v", err)
	}
	if s, err := ReadStatus(dir); err != nil || s.State != Killed {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := r.Close(Finished, nil); err != nil {
		t.Fatal(err)
	}
}

func appendText(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFollowThroughAResume replaces the file while it is followed.
func TestFollowThroughAResume(t *testing.T) {
	dir := t.TempDir()
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0)
	for step := 1; step <= 4; step++ {
		if err := r.Write(Metrics{Step: step, Time: at.Add(time.Duration(step) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	err = Follow(context.Background(), dir, func(m Metrics) error {
		got = append(got, m.Step)
		if len(got) != 4 {
			return nil
		}
		again, err := Continue(dir, 2)
		if err != nil {
			return err
		}
		// A clock that was set back must not hide a report.
		return errors.Join(again.Write(Metrics{Step: 3, Time: at}), again.Write(Metrics{Step: 4}), again.Close(Finished, nil))
	}, noBadLine(t))
	if err != nil || !reflect.DeepEqual(got, []int{1, 2, 3, 4, 3, 4}) {
		t.Errorf("got %v, %v; want the steps that were run again once more, and no other", got, err)
	}
	if err := r.Close(Finished, nil); err != nil {
		t.Fatal(err)
	}
}
