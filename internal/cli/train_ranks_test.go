package cli

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

// rankArgsEnv holds the arguments of a main in a process of its own.
const rankArgsEnv = "QLORA_TEST_RANK_ARGS"

// process is such a main.
type process struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
	ended    chan struct{}
}

// start runs qlora with args in the working directory and with env.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return startWith(t, func(*exec.Cmd) {}, env, args...)
}

// startWith is start with what set changes about the command.
func startWith(t *testing.T, set func(*exec.Cmd), env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^TestRanksTrainLikeOne$"), ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), env...), rankArgsEnv+"="+strings.Join(args, "\n"))
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	set(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.ended })
	go func() { p.cmd.Wait(); close(p.ended) }()
	return p
}

// startAll runs args as ranks of one launch, as torchrun would start them.
func startAll(t *testing.T, ranks int, args ...string) []*process {
	t.Helper()
	port := freePort(t)
	var all []*process
	for rank := range ranks {
		all = append(all, start(t, torchrunEnv(rank, ranks, port), args...))
	}
	return all
}

func torchrunEnv(rank, size, port int) []string {
	return []string{fmt.Sprintf("RANK=%d", rank), fmt.Sprintf("WORLD_SIZE=%d", size), fmt.Sprintf("LOCAL_RANK=%d", rank),
		fmt.Sprintf("LOCAL_WORLD_SIZE=%d", size), "MASTER_ADDR=localhost", fmt.Sprintf("MASTER_PORT=%d", port),
		"TORCHELASTIC_RUN_ID=test", joinVar + "=30"}
}

func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// code waits for the end of p.
func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(60 * time.Second):
		t.Fatalf("the process does not end:\n%s", &p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// sameMetrics holds the reports of a run to those of another: the losses of
// every step and evaluation to a relative 1e-4.
func sameMetrics(t *testing.T, name, want string, steps int) {
	t.Helper()
	a, err := runlog.ReadMetrics("runs/" + want)
	if err != nil {
		t.Fatal(err)
	}
	b, err := runlog.ReadMetrics("runs/" + name)
	if err != nil || len(a) != len(b) || len(a) < steps {
		t.Fatalf("%s: %d reports, %d of %s, %v", name, len(b), len(a), want, err)
	}
	close := func(x, y float64) bool { return math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= 1e-4*math.Abs(y) }
	for i, m := range b {
		w := a[i]
		if m.Step != w.Step || m.TrainedTokens != w.TrainedTokens || m.LR != w.LR && !math.IsNaN(w.LR) || !close(m.Loss, w.Loss) {
			t.Errorf("%s: %+v\n%s: %+v", name, m, want, w)
		}
		if (m.EvalLoss == nil) != (w.EvalLoss == nil) || m.EvalLoss != nil && !close(*m.EvalLoss, *w.EvalLoss) {
			t.Errorf("%s: evaluation of step %d differs from that of %s", name, m.Step, want)
		}
	}
}

// sameAdapters holds the trained values of two runs to a relative 1e-3, all in
// all.
func sameAdapters(t *testing.T, name, want string) {
	t.Helper()
	load := func(run string) []float32 {
		c, err := checkpoint.NewStore("outputs/"+run, func(text string) { t.Error(text) }).Open("last")
		if err != nil {
			t.Fatal(err)
		}
		return c.State.Weights
	}
	a, b := load(want), load(name)
	var diff, norm float64
	for i := range a {
		d := float64(a[i] - b[i])
		diff, norm = diff+d*d, norm+float64(a[i])*float64(a[i])
	}
	if r := math.Sqrt(diff / norm); !(r < 1e-3) {
		t.Errorf("the adapter of %s is %.1e from that of %s", name, r, want)
	}
}

// rankArgs is a run of twenty steps of six micro-batches.
func rankArgs(name string, more ...string) []string {
	return tinyArgs(append([]string{"--name", name, "--grad-accum", "6", "--max-steps", "20", "-lr", "0.005", "--device", "cpu"}, more...)...)
}

// TestRanksTrainLikeOne: two and three ranks, and four between which six
// micro-batches are dealt unevenly, train as one process does, started by the
// command itself or by torchrun.
func TestRanksTrainLikeOne(t *testing.T) {
	if args := os.Getenv(rankArgsEnv); args != "" {
		os.Exit(Main(strings.Split(args, "\n"), ui.System()))
	}
	tinyRun(t)
	mustRun(t, rankArgs("one")...)
	p := start(t, nil, rankArgs("two", "--devices", "cpu,cpu")...)
	if code := p.code(t); code != ui.ExitOK {
		t.Fatalf("exit code %d: %s", code, &p.err)
	}
	if want := "2 ranks: each computes 3 of the 6 micro-batches of a step; gradients travel by tcp"; strings.Count(p.out.String(), want) != 1 || strings.Count(p.out.String(), "done: ") != 1 {
		t.Errorf("printed, once each, %q and the result?\n%s", want, &p.out)
	}
	for ranks, name := range map[int]string{3: "three", 4: "four"} {
		for rank, p := range startAll(t, ranks, rankArgs(name)...) {
			if code := p.code(t); code != ui.ExitOK || rank > 0 && p.out.Len()+p.err.Len() > 0 {
				t.Errorf("rank %d of %d: exit code %d, printed %s%s", rank, ranks, code, &p.out, &p.err)
			}
		}
	}
	for _, name := range []string{"two", "three", "four"} {
		sameMetrics(t, name, "one", 20)
		sameAdapters(t, name, "one")
	}
	if dirs, _ := filepath.Glob("outputs/*"); len(dirs) != 4 {
		t.Errorf("outputs holds %v", dirs)
	}
}

// A checkpoint of one process goes on with two, and back.
func TestRanksResume(t *testing.T) {
	tinyRun(t)
	mustRun(t, rankArgs("one")...)
	mustRun(t, rankArgs("mixed", "--keep-last", "0")...)
	for _, more := range [][]string{{"outputs/mixed/checkpoint-6", "--devices", "cpu,cpu"}, {"outputs/mixed/checkpoint-12"}, {"outputs/mixed/checkpoint-15", "--devices", "cpu,cpu,cpu"}} {
		p := start(t, nil, append([]string{"train", "--resume"}, more...)...)
		if code := p.code(t); code != ui.ExitOK || !strings.Contains(p.err.String(), "continuing from "+more[0]) {
			t.Fatalf("%v: exit code %d: %s", more, code, &p.err)
		}
		sameMetrics(t, "mixed", "one", 20)
		sameAdapters(t, "mixed", "one")
	}
}

// Ranks that would train something else refuse each other and say what.
func TestRanksRefuseEachOther(t *testing.T) {
	tinyRun(t)
	lines := strings.SplitAfter(string(readBytes(t, "train.jsonl")), "\n")
	putText(t, "other.jsonl", strings.Join(lines[1:], ""))
	for want, more := range map[string][]string{
		`rank is "4" on rank 0 and "8" on rank 1`:    {"--rank", "8"},
		`eval-every is "4" on rank 0 and "5" on`:     {"--eval-every", "5"},
		`training data is "`:                         {"-d", "other.jsonl"},
		`steps is "20" on rank 0 and "19" on rank 1`: {"--max-steps", "19"},
	} {
		port := freePort(t)
		args := rankArgs("mine", more...)
		if more[0] == "-d" {
			args = slices.Replace(rankArgs("mine"), 3, 5, more...)
		}
		all := []*process{start(t, torchrunEnv(0, 2, port), rankArgs("mine")...), start(t, torchrunEnv(1, 2, port), args...)}
		for rank, p := range all {
			if code := p.code(t); code != ui.ExitUsage || !strings.Contains(p.err.String(), want) {
				t.Errorf("%v: rank %d: exit code %d, want 2 with %q: %s", more, rank, code, want, &p.err)
			}
		}
	}
	if exists("outputs") || exists("runs") {
		t.Error("ranks that refused each other left folders")
	}
}

// A failure of one rank alone ends all with its exit code.
func TestFailureOfOneRank(t *testing.T) {
	tinyRun(t)
	port := freePort(t)
	bad := slices.Clone(rankArgs("mine"))
	bad[slices.Index(bad, "base.gguf")] = "missing.gguf"
	all := []*process{start(t, torchrunEnv(0, 2, port), rankArgs("mine")...), start(t, torchrunEnv(1, 2, port), bad...)}
	for rank, p := range all {
		if code := p.code(t); code != ui.ExitInvalid || !strings.Contains(p.err.String(), "missing.gguf") {
			t.Errorf("rank %d: exit code %d: %s", rank, code, &p.err)
		}
	}
}

// What rank 0 refuses it says once, for all.
func TestRefusalIsToldOnce(t *testing.T) {
	tinyRun(t)
	mustRun(t, rankArgs("mine", "--max-steps", "1")...)
	p := start(t, nil, rankArgs("mine", "--devices", "cpu,cpu")...)
	if code := p.code(t); code != ui.ExitUsage || strings.Count(p.err.String(), "finished run") != 1 {
		t.Errorf("exit code %d: %s", code, &p.err)
	}
}

func TestRanksOfBadUse(t *testing.T) {
	tinyRun(t)
	for _, c := range []struct {
		env  []string
		args string
		code int
		want string
	}{
		{nil, "--devices cpu,gpu", ui.ExitUsage, `device "gpu": it is auto, cpu, cuda or cuda:N`},
		{nil, "--devices 0,1", ui.ExitDevice, "CUDA"},
		{nil, "--devices cpu,cpu --grad-accum 1", ui.ExitUsage, "--grad-accum 1 is fewer micro-batches than 2 ranks"},
		{nil, "--devices cpu,cpu --rank 0", ui.ExitUsage, "rank"},
		{[]string{"RANK=0"}, "", ui.ExitUsage, "WORLD_SIZE"},
		{[]string{"RANK=0", "WORLD_SIZE=2"}, "", ui.ExitUsage, "MASTER_ADDR"},
		{append(torchrunEnv(1, 2, freePort(t)), joinVar+"=1"), "", ui.ExitFailure, "no answer within 1s"},
		{append(torchrunEnv(0, 2, freePort(t)), joinVar+"=1"), "", ui.ExitFailure, "rank 1 did not come within 1s"},
		{append(torchrunEnv(1, 2, freePort(t)), joinVar+"=soon"), "", ui.ExitUsage, joinVar},
		{torchrunEnv(1, 2, freePort(t)), "--devices cpu", ui.ExitUsage, "--devices names 1 device,"},
	} {
		p := start(t, c.env, rankArgs("mine", strings.Fields(c.args)...)...)
		if code := p.code(t); code != c.code || !strings.Contains(p.err.String(), c.want) {
			t.Errorf("%v %s: exit code %d, want %d with %q: %s", c.env, c.args, code, c.code, c.want, &p.err)
		}
	}
}

// A rank takes its own of the devices listed, or the GPU that its place on the
// machine numbers, unless the settings name one.
func TestDeviceOfARank(t *testing.T) {
	w := &dist.World{Rank: 5, Size: 8, LocalRank: 1, LocalSize: 4}
	for device, want := range map[string]config.Device{"auto": {Kind: "auto", Index: 1}, "cuda": {Kind: "cuda", Index: 1}, "cuda:3": {Kind: "cuda", Index: 3}} {
		if got, err := (deviceOptions{device: device, gpuLayers: -1, world: w}).wanted(); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", device, got, err, want)
		}
	}
	for _, c := range []struct {
		list string
		w    *dist.World
		want string
	}{{"0, cuda:2", w, "cuda:2"}, {"3", nil, "3"}, {"", w, ""}} {
		devices, err := parseDevices(c.list)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := rankDevice(devices, c.w); err != nil || got != c.want {
			t.Errorf("%q: %q, %v; want %q", c.list, got, err, c.want)
		}
	}
}

func TestLaunchResult(t *testing.T) {
	exits := func(code int) error { return exec.Command("sh", "-c", fmt.Sprintf("exit %d", code)).Run() }
	killed := exec.Command("sh", "-c", "kill -9 $$").Run()
	for _, c := range []struct {
		ends    []error
		stopped bool
		code    int
		silent  bool
	}{
		{[]error{nil, nil}, false, ui.ExitOK, false},
		{[]error{exits(6), exits(1)}, false, 6, true},
		{[]error{nil, exits(5)}, false, 5, true},
		{[]error{killed, exits(1)}, false, ui.ExitFailure, false},
		{[]error{killed, killed}, true, ui.ExitInterrupted, false},
	} {
		err := launchResult(c.ends, c.stopped)
		var elsewhere *reported
		if exitCode(err) != c.code || errors.As(err, &elsewhere) != c.silent {
			t.Errorf("%v: %v, exit code %d, want %d", c.ends, err, exitCode(err), c.code)
		}
	}
}

func TestLinePrefix(t *testing.T) {
	var b bytes.Buffer
	p := &linePrefix{to: &b, prefix: "[rank 1] "}
	for _, text := range []string{"one", " line\ntwo\n", "", "\nnot ended"} {
		if n, err := p.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("write %q: %d, %v", text, n, err)
		}
	}
	if want := "[rank 1] one line\n[rank 1] two\n[rank 1] \n"; b.String() != want {
		t.Errorf("%q, want %q", &b, want)
	}
}
