package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

// tinyRun makes a model and data in a new working directory.
func tinyRun(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	llamatest.Model(t, "base.gguf", llamatest.Options{Seed: 3, ChatTemplate: llamatest.ChatML})
	var data strings.Builder
	for i := range 24 {
		fmt.Fprintf(&data, `{"messages":[{"role":"user","content":"the fun in %d"},{"role":"assistant","content":"there %d in the fun"}]}`+"\n", i, i%5)
	}
	putText(t, "train.jsonl", data.String())
	putText(t, "eval.jsonl", strings.Join(strings.SplitAfter(data.String(), "\n")[:6], ""))
}

func putText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tinyArgs is a run of twelve steps that learns.
func tinyArgs(more ...string) []string {
	args := strings.Fields("train -m base.gguf -d train.jsonl --eval-data eval.jsonl -c 64 --rank 4 --micro-batch-size 1 --grad-accum 2 " +
		"-lr 0.02 --dropout 0.1 --max-steps 12 --log-every 1 --eval-every 4 --save-every 3 -t 1 --seed 5")
	return append(args, more...)
}

// runMain runs the binary's main in this process.
func runMain(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	s, o, e := ui.Test()
	code = Main(args, s)
	return code, o.String(), e.String()
}

func mustRun(t *testing.T, args ...string) (out, errOut string) {
	t.Helper()
	code, out, errOut := runMain(t, args...)
	if code != ui.ExitOK {
		t.Fatalf("%q: exit code %d\n%s", args, code, errOut)
	}
	return out, errOut
}

func readBytes(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTrainWritesEverything(t *testing.T) {
	tinyRun(t)
	out, errOut := mustRun(t, tinyArgs("--name", "mine")...)
	for _, want := range []string{"samples 24", "masked", "tokens per step: 128 = 2 micro-batches x 1 row x 64 tokens", "eval loss"} {
		if !strings.Contains(out, want) {
			t.Errorf("standard output lacks %q:\n%s", want, out)
		}
	}
	for _, want := range []string{"first sample (train.jsonl:1)", "[[there 0 in the fun<|im_end|>"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("standard error lacks %q:\n%s", want, errOut)
		}
	}
	if n := strings.Count(errOut, "tok/s"); n != 12 {
		t.Errorf("%d status lines, want 12:\n%s", n, errOut)
	}
	var m trainSummary
	if err := json.Unmarshal(readBytes(t, "outputs/mine/summary.json"), &m); err != nil {
		t.Fatal(err)
	}
	if m.Run != "mine" || m.Steps != 12 || m.TrainedTokens == 0 || m.TokensPerSecond <= 0 || m.PeakRSSBytes == 0 || m.Adapter != "outputs/mine/adapter.gguf" {
		t.Errorf("summary %+v", m)
	}
	if *m.EvalLoss > 0.8**m.EvalLossBefore || *m.BestEvalLoss > *m.EvalLoss {
		t.Errorf("eval loss %g before, %g after, best %g", *m.EvalLossBefore, *m.EvalLoss, *m.BestEvalLoss)
	}
	checkAdapter(t, m.Adapter)
	checkAdapter(t, m.BestAdapter)
	checkAdapter(t, "outputs/mine/checkpoint-12/adapter.gguf")
	if !bytes.Equal(readBytes(t, "outputs/mine/checkpoint-12/adapter.gguf"), readBytes(t, m.Adapter)) {
		t.Error("the last checkpoint and the result hold different adapters")
	}
	all, err := runlog.ReadMetrics("runs/mine")
	if err != nil || len(all) != 16 { // 12 reports, 4 evaluations
		t.Errorf("%d metrics, %v", len(all), err)
	}
	status, err := runlog.ReadStatus("runs/mine")
	if err != nil || status.State != runlog.Finished {
		t.Errorf("status %+v, %v", status, err)
	}
	if events, _ := filepath.Glob("runs/mine/events.out.tfevents.*"); len(events) != 1 {
		t.Errorf("TensorBoard files: %v", events)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(readBytes(t, "logs/mine.log")), []byte("\n")) {
		if !json.Valid(line) || !bytes.Contains(line, []byte(`"run":"mine"`)) {
			t.Errorf("log line %s", line)
		}
	}
}

func checkAdapter(t *testing.T, path string) {
	t.Helper()
	a, err := lora.ReadAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	base, err := gguf.Open("base.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	if err := a.Check(base); err != nil {
		t.Error(err)
	}
}

func TestTrainJSON(t *testing.T) {
	tinyRun(t)
	out, _ := mustRun(t, tinyArgs("--name", "mine", "--json")...)
	count := map[string]int{}
	var last map[string]any
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		count[last["message_type"].(string)]++
	}
	if count["metrics"] != 16 || count["data"] != 1 || count["plan"] != 1 || count["summary"] != 1 || last["message_type"] != "summary" {
		t.Errorf("messages %v, the last is %v", count, last)
	}
	for _, key := range []string{"run", "steps", "trained_tokens", "train_loss", "eval_loss_before", "eval_loss", "tokens_per_second", "peak_rss_bytes", "peak_vram_bytes", "adapter"} {
		if _, ok := last[key]; !ok {
			t.Errorf("the summary has no %s", key)
		}
	}
}

// The dumped settings repeat the run, and two runs give the same bytes.
func TestTrainRepeats(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "one")...)
	mustRun(t, "train", "--config", "outputs/one/config.yaml", "--name", "two")
	if !bytes.Equal(weights(t, "outputs/one/adapter.gguf"), weights(t, "outputs/two/adapter.gguf")) {
		t.Error("the same settings gave other adapters")
	}
	mustRun(t, "train", "--config", "outputs/one/config.yaml", "--name", "three", "--seed", "6")
	if bytes.Equal(weights(t, "outputs/one/adapter.gguf"), weights(t, "outputs/three/adapter.gguf")) {
		t.Error("another seed gave the same adapter")
	}
}

// weights is the tensors of a GGUF without its metadata, which holds the name.
func weights(t *testing.T, path string) []byte {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b []byte
	for _, info := range f.Tensors() {
		b = append(b, info.Name...)
		b = append(b, f.Data(info)...)
	}
	return b
}

func TestTrainRefusesToOverwrite(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "2")...)
	before := readBytes(t, "outputs/mine/adapter.gguf")
	code, _, errOut := runMain(t, tinyArgs("--name", "mine", "--max-steps", "1")...)
	if code != ui.ExitUsage || !strings.Contains(errOut, "finished run") || !strings.Contains(errOut, "--resume last") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	code, _, errOut = runMain(t, "train", "--resume", "last", "--name", "mine", "--rank", "8")
	if code != ui.ExitUsage || !strings.Contains(errOut, `rank was "4" and is "8"`) {
		t.Errorf("resumed with another rank: exit code %d: %s", code, errOut)
	}
	if !bytes.Equal(before, readBytes(t, "outputs/mine/adapter.gguf")) {
		t.Error("a refused run changed the adapter")
	}
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "1", "--force")...)
	if !bytes.Equal(before, readBytes(t, "outputs/mine.1/adapter.gguf")) {
		t.Error("--force lost the earlier adapter")
	}
}

// A resume that is refused leaves the run as it was, to be resumed rightly.
func TestRefusedResumeChangesNothing(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "4")...)
	files := []string{"outputs/mine/config.yaml", "outputs/mine/summary.json", "runs/mine/config.yaml", "runs/mine/status.json", "runs/mine/metrics.jsonl", "logs/mine.log"}
	before := map[string][]byte{}
	for _, path := range files {
		before[path] = readBytes(t, path)
	}
	more := strings.Repeat(string(readBytes(t, "eval.jsonl")), 2)
	putText(t, "other.jsonl", more)
	for _, change := range [][]string{{"--rank", "8"}, {"--seed", "6"}, {"-d", "other.jsonl"}, {"--target", "attn"}} {
		args := append([]string{"train", "--resume", "outputs/mine/checkpoint-3", "--name", "mine"}, change...)
		if code, _, errOut := runMain(t, args...); code != ui.ExitUsage || !strings.Contains(errOut, "another run") {
			t.Errorf("%v: exit code %d: %s", change, code, errOut)
		}
		for _, path := range files {
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, before[path]) {
				t.Errorf("%v: %s was changed: %v", change, path, err)
			}
		}
		if !exists("outputs/mine/checkpoint-4") {
			t.Errorf("%v: a later checkpoint was put aside", change)
		}
	}
	mustRun(t, "train", "--resume", "last", "--name", "mine", "--max-steps", "5")
}

func TestTrainInterrupted(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine")...)
	want := readBytes(t, "outputs/mine/adapter.gguf")
	if err := os.Rename("outputs/mine", "outputs/straight"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, _, errOut := ui.Test()
	s.Err = &watcher{to: errOut, text: "step 5/12", found: cancel}
	if code := execute(ctx, tinyArgs("--name", "mine"), s); code != ui.ExitInterrupted || !strings.Contains(errOut.String(), "--resume last --name mine") {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	status, err := runlog.ReadStatus("runs/mine")
	if err != nil || status.State != runlog.Interrupted {
		t.Errorf("status %+v, %v", status, err)
	}
	_, talk := mustRun(t, "train", "--resume", "last", "--name", "mine")
	if !strings.Contains(talk, "continuing from outputs/mine/checkpoint-5") {
		t.Errorf("resumed: %s", talk)
	}
	if !bytes.Equal(want, readBytes(t, "outputs/mine/adapter.gguf")) {
		t.Error("an interrupted run ended in another adapter")
	}
}

// watcher calls found when text is written.
type watcher struct {
	to    *bytes.Buffer
	text  string
	found func()
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if strings.Contains(w.to.String(), w.text) {
		w.found()
	}
	return n, err
}

func TestTrainDiverges(t *testing.T) {
	tinyRun(t)
	code, _, errOut := runMain(t, tinyArgs("--name", "mine", "--schedule", "linear", "--warmup-steps", "8", "-lr", "1e38", "--save-every", "1")...)
	if code != ui.ExitDiverged || !strings.Contains(errOut, "diverged") {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	status, err := runlog.ReadStatus("runs/mine")
	if err != nil || status.State != runlog.Diverged {
		t.Errorf("status %+v, %v", status, err)
	}
	if exists("outputs/mine/adapter.gguf") {
		t.Error("a diverged run left an adapter")
	}
}

func TestTrainDryRunWritesNothing(t *testing.T) {
	tinyRun(t)
	out, _ := mustRun(t, tinyArgs("--dry-run")...)
	if !strings.Contains(out, "tokens per step") || !strings.Contains(out, "masked") || !strings.Contains(out, "first sample") {
		t.Errorf("printed:\n%s", out)
	}
	files, err := os.ReadDir(".")
	if err != nil || len(files) != 3 {
		t.Errorf("left %v, %v", files, err)
	}
}

func TestTrainFull(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--method", "full", "-lr", "0.003", "--pack=false")...)
	base, err := gguf.Open("base.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	f, err := gguf.Open("outputs/mine/model.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.KVs()) != len(base.KVs()) || len(f.Tensors()) != len(base.Tensors()) {
		t.Errorf("%d keys and %d tensors, in the base %d and %d", len(f.KVs()), len(f.Tensors()), len(base.KVs()), len(base.Tensors()))
	}
	for _, info := range base.Tensors() {
		if got, ok := f.Tensor(info.Name); !ok || bytes.Equal(f.Data(got), base.Data(info)) {
			t.Errorf("%s was not trained", info.Name)
		}
	}
}

func TestTrainFromAdapter(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "one")...)
	mustRun(t, tinyArgs("--name", "two", "--from", "outputs/one/adapter.gguf", "--max-steps", "1", "-lr", "1e-9")...)
	var one, two trainSummary
	for path, m := range map[string]*trainSummary{"outputs/one/summary.json": &one, "outputs/two/summary.json": &two} {
		if err := json.Unmarshal(readBytes(t, path), m); err != nil {
			t.Fatal(err)
		}
	}
	if d := *two.EvalLossBefore - *one.EvalLoss; d > 1e-4 || d < -1e-4 {
		t.Errorf("continued from %g at %g", *one.EvalLoss, *two.EvalLossBefore)
	}
}

func TestTrainBadInput(t *testing.T) {
	tinyRun(t)
	good := string(readBytes(t, "train.jsonl"))
	putText(t, "broken.jsonl", strings.SplitAfter(good, "\n")[0]+"{\"messages\": [\n"+good)
	putText(t, "empty.jsonl", "")
	putText(t, "masked.jsonl", `{"messages":[{"role":"user","content":"the fun"}]}`+"\n")
	putText(t, "opted.jsonl", `{"messages":[{"role":"user","content":"the fun"},{"role":"assistant","content":"the fun","train":false}]}`+"\n")
	putText(t, "no.gguf", "not a model")
	llamatest.Adapter(t, "other.gguf", llamatest.Options{Embd: 64}, llamatest.AdapterOptions{})
	truncated := readBytes(t, "base.gguf")
	putText(t, "cut.gguf", string(truncated[:len(truncated)/2]))
	absurd := bytes.Clone(truncated)
	copy(absurd[16:24], bytes.Repeat([]byte{0xff}, 8)) // the number of metadata entries
	putText(t, "absurd.gguf", string(absurd))
	putText(t, "gemma.gguf", strings.ReplaceAll(string(truncated), "llama", "gemma")) // of the same length
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"-m base.gguf -d broken.jsonl", ui.ExitInvalid, "broken.jsonl:2"},
		{"-m base.gguf -d broken.jsonl --skip-invalid --max-steps 1 --name skipped", ui.ExitSkipped, "1 record left out"},
		{"-m base.gguf -d empty.jsonl", ui.ExitInvalid, "empty.jsonl"},
		{"-m base.gguf -d masked.jsonl", ui.ExitInvalid, "no token of the data carries loss"},
		{"-m base.gguf -d opted.jsonl", ui.ExitInvalid, "no token of the data carries loss"},
		{"-m base.gguf -d missing.jsonl", ui.ExitInvalid, "missing.jsonl"},
		{"-m missing.gguf -d train.jsonl", ui.ExitInvalid, "missing.gguf"},
		{"-m no.gguf -d train.jsonl", ui.ExitInvalid, "no.gguf"},
		{"-m cut.gguf -d train.jsonl", ui.ExitInvalid, "cut.gguf"},
		{"-m absurd.gguf -d train.jsonl", ui.ExitInvalid, "absurd.gguf"},
		{"-m gemma.gguf -d train.jsonl", ui.ExitInvalid, "architecture gemma cannot be trained yet"},
		{"-m base.gguf -d train.jsonl --from other.gguf --rank 4", ui.ExitInvalid, "other.gguf"},
		{"-m base.gguf -d train.jsonl --target attn_x", ui.ExitUsage, "attn_x"},
		{"-m base.gguf -d train.jsonl --resume last --name none", ui.ExitFailure, "outputs/none"},
	} {
		code, _, errOut := runMain(t, append([]string{"train"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit code %d, want %d with %q: %s", c.args, code, c.code, c.want, errOut)
		}
	}
	if entries, err := os.ReadDir("outputs"); err != nil || len(entries) != 1 || entries[0].Name() != "skipped" {
		t.Errorf("outputs holds %v, %v", entries, err)
	}
}

const trainChildEnv = "QLORA_TEST_TRAIN_CHILD"

// TestTrainSurvivesSIGKILL kills a run at random moments until it has ended,
// and holds its adapter to that of a run left alone.
func TestTrainSurvivesSIGKILL(t *testing.T) {
	if dir := os.Getenv(trainChildEnv); dir != "" {
		trainChild(t, dir)
	}
	const wanted = 20
	seed := uint64(11)
	r := rand.New(rand.NewPCG(seed, 1))
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine")...)
	want := readBytes(t, "outputs/mine/adapter.gguf")
	kills := 0
	for round := 0; kills < wanted; round++ {
		if err := os.RemoveAll("outputs"); err != nil {
			t.Fatal(err)
		}
		for !exists("outputs/mine/summary.json") {
			if killedAfter(t, time.Duration(r.Int64N(int64(300*time.Millisecond)))) {
				kills++
			}
		}
		if !bytes.Equal(want, readBytes(t, "outputs/mine/adapter.gguf")) {
			t.Fatalf("seed %d, round %d: killed %d times, the run ended in another adapter", seed, round, kills)
		}
		if round > 100 {
			t.Fatalf("only %d kills in %d rounds", kills, round)
		}
	}
}

// trainChild is the process to be killed: it starts the run in dir or goes on
// with it.
func trainChild(t *testing.T, dir string) {
	t.Chdir(dir)
	args := tinyArgs("--name", "mine", "--save-every", "1")
	if found, _ := filepath.Glob("outputs/mine/checkpoint-*/DONE"); len(found) > 0 {
		args = append(args, "--resume", "last")
	} else {
		args = append(args, "--force")
	}
	os.Exit(Main(args, ui.System()))
}

// killedAfter starts the child and kills it; false if it had ended by then.
func killedAfter(t *testing.T, wait time.Duration) bool {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestTrainSurvivesSIGKILL$")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "QLORA_") }), trainChildEnv+"="+dir)
	var talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &talk, &talk
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("the child failed: %v\n%s", err, &talk)
		}
		return false
	case <-time.After(wait):
	}
	killed := cmd.Process.Kill()
	if errors.Is(killed, os.ErrProcessDone) { // it ended just now
		if err := <-ended; err != nil {
			t.Fatalf("the child failed: %v\n%s", err, &talk)
		}
		return false
	}
	if killed != nil {
		t.Fatal(killed)
	}
	<-ended
	return true
}
