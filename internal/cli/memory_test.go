package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/dist/disttest"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

// fakeDevice is a GPU of 8 GiB of which 7 are free; nothing can be computed on it.
func fakeDevice(t *testing.T) computeDevice {
	t.Helper()
	d, err := fakeMachine(90).choose(config.Device{Index: -1})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeviceBudget(t *testing.T) {
	d := fakeDevice(t)
	for text, want := range map[string]int64{"": engine.FreeBudget(d.gpu), "2GiB": 2 << 30, "50%": 4 << 30} {
		if got, err := d.budget(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	if free := engine.FreeBudget(d.gpu); free >= 7<<30 || free < 6<<30 {
		t.Errorf("%d bytes of 7 GiB that are free", free)
	}
	if got, err := (computeDevice{}).budget(""); err != nil || got != 0 {
		t.Errorf("on the CPU: %d, %v", got, err)
	}
	if _, err := (computeDevice{}).budget("2GiB"); exitCode(err) != ui.ExitUsage || len(ui.Hints(err)) == 0 {
		t.Errorf("2GiB on the CPU: %v", err)
	}
}

// planningJob is a run of a published shape as far as planMemory needs it.
func planningJob(t *testing.T, like string, rows, accum int, budget string) (*trainJob, func() string) {
	t.Helper()
	f, err := (planOptions{like: like, kind: "q4_k_m"}).header("")
	if err != nil {
		t.Fatal(err)
	}
	s, _, errOut := ui.Test()
	r := config.DefaultRun()
	r.Model, r.MicroBatchSize, r.GradAccum, r.VRAMBudget, r.Precision = like, rows, accum, budget, "bf16"
	return &trainJob{r: r, device: fakeDevice(t), s: s, base: f, length: 2048}, errOut.String
}

func TestTrainTakesFewerRowsThatFit(t *testing.T) {
	j, errOut := planningJob(t, "7b", 6, 5, "8GiB")
	if err := j.planMemory(false); err != nil {
		t.Fatal(err)
	}
	if j.r.MicroBatchSize != 2 || j.r.GradAccum != 15 || j.options.Rows != 2 || j.memory.Rows != 2 || j.memory.Total() > 8<<30 {
		t.Errorf("%d rows, %d micro-batches, options %d, plan %s", j.r.MicroBatchSize, j.r.GradAccum, j.options.Rows, j.memory)
	}
	if j.options.Resident != j.memory.Resident || j.options.Recompute != engine.RecomputeBlock || j.options.Budget != 8<<30 {
		t.Errorf("the engine is to take %+v, the plan is %+v", j.options, j.memory)
	}
	if !strings.Contains(errOut(), "each step takes 15 micro-batches of 2 rows instead of 5") {
		t.Errorf("it was not said: %q", errOut())
	}
	text, err := settingsText(j.r)
	if err != nil || !strings.Contains(string(text), "micro-batch-size: 2\ngrad-accum: 15\n") || !strings.Contains(string(text), "vram-budget: 8GiB") {
		t.Errorf("the settings do not hold it: %v\n%s", err, text)
	}
	j.r.MicroBatchSize, j.r.GradAccum = 6, 5
	if err := j.planMemory(true); exitCode(err) != ui.ExitDevice || !strings.Contains(strings.Join(ui.Hints(err), "\n"), "6 rows, which cannot change now") {
		t.Errorf("resumed with less memory: %v, %q", err, ui.Hints(err))
	}
	j, _ = planningJob(t, "32b", 2, 1, "4GiB")
	var none *engine.BudgetError
	if err := j.planMemory(false); exitCode(err) != ui.ExitDevice || !errors.As(err, &none) || none.Smallest.Rows != 1 || len(ui.Hints(err)) == 0 {
		t.Errorf("a 32B in 4 GiB: %v", err)
	}
}

// A run that is resumed with the command that began it goes on with the rows that were found to fit.
func TestResumeKeepsTheRowsThatFit(t *testing.T) {
	t.Chdir(t.TempDir())
	first := config.DefaultRun()
	first.MicroBatchSize, first.GradAccum = 2, 15
	text, err := first.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("out", 0o755); err != nil {
		t.Fatal(err)
	}
	putText(t, "out/"+configFile, string(text))
	for _, c := range []struct{ rows, accum, wantRows, wantAccum int }{{6, 5, 2, 15}, {2, 15, 2, 15}, {6, 6, 6, 6}, {1, 30, 1, 30}} {
		r := config.Run{Output: "out", MicroBatchSize: c.rows, GradAccum: c.accum}
		keepRows(&r)
		if r.MicroBatchSize != c.wantRows || r.GradAccum != c.wantAccum {
			t.Errorf("%d x %d became %d x %d", c.rows, c.accum, r.MicroBatchSize, r.GradAccum)
		}
	}
	r := config.Run{Output: "elsewhere", MicroBatchSize: 6, GradAccum: 5}
	if keepRows(&r); r.MicroBatchSize != 6 {
		t.Errorf("without settings: %+v", r)
	}
}

func TestLackOfMemoryIsExitFive(t *testing.T) {
	for _, kind := range []error{ggml.ErrNoMemory, ggml.ErrDevice, &engine.BudgetError{Budget: 1 << 30}} {
		err := fmt.Errorf("prepare x: %w", kind)
		for name, explained := range map[string]error{"openEngine": invalidInput(err), "train": explainTraining(err, runFolders{name: "x", output: "outputs/x"}), "perf": perfTrainError(t.Context(), err)} {
			if exitCode(explained) != ui.ExitDevice || len(ui.Hints(explained)) == 0 {
				t.Errorf("%s, %v: exit code %d, hints %q", name, kind, exitCode(explained), ui.Hints(explained))
			}
		}
	}
	for _, err := range []error{fmt.Errorf("x: %w", ggml.ErrNoMemory), modelError(fmt.Errorf("load: %w", llama.ErrNoMemory))} {
		if exitCode(err) != ui.ExitDevice {
			t.Errorf("%v: exit code %d", err, exitCode(err))
		}
	}
	if deviceFailure(errors.New("other")) != nil {
		t.Error("every error is a device's")
	}
}

// A GPU whose memory others hold is passed over, or named where it was asked for.
func TestFullDevice(t *testing.T) {
	m := fakeMachine(90, 90)
	whole := m.device
	m.device = func(i int) ggml.Device {
		d := whole(i)
		if i == 0 {
			d.Full, d.Code = true, 0
		}
		return d
	}
	if d, err := m.choose(config.Device{Index: -1}); err != nil || d.name() != "cuda:1" {
		t.Errorf("%s, %v", d.name(), err)
	}
	_, err := m.choose(config.Device{Index: 0})
	if !errors.Is(err, ggml.ErrNoMemory) || !strings.Contains(deviceHints(err)[0], "qlora gpu") {
		t.Errorf("%v, %q", err, deviceHints(err))
	}
}

func TestFits(t *testing.T) {
	f, err := (planOptions{like: "7b", kind: "q4_k_m"}).header("")
	if err != nil {
		t.Fatal(err)
	}
	r := config.DefaultRun()
	r.Precision = "bf16"
	p := &planned{r: r, f: f, length: 2048, budget: 11 << 30, onGPU: true, rows: rowChoice{rows: 2, accum: 1}, asked: engineOptions(r, computeDevice{}, 2048)}
	p.asked.Budget = p.budget
	fits, err := p.fits()
	if err != nil || len(fits) != 3 {
		t.Fatalf("%+v, %v", fits, err)
	}
	for _, fit := range fits {
		o := p.asked
		o.Recompute, o.Resident = fit.Recompute, 28
		if fit.Streaming {
			o.Resident = -1
		}
		for _, c := range []struct {
			rows, length int
			fits         bool
		}{{2, fit.CtxSize, true}, {2, fit.CtxSize + rowAlign, false}, {fit.Rows, 2048, true}, {fit.Rows + 1, 2048, false}} {
			o.Rows, o.Length = c.rows, c.length
			if c.rows == 0 || c.length == 0 {
				continue
			}
			if _, err := engine.PlanFor(f, o, true); (err == nil) != c.fits {
				t.Errorf("%+v: %d x %d fits: %v, want %t", fit, c.rows, c.length, err, c.fits)
			}
		}
	}
	if fits[0].CtxSize >= fits[1].CtxSize || fits[1].CtxSize >= fits[2].CtxSize || fits[1].Rows >= fits[2].Rows {
		t.Errorf("recomputing and streaming reach no further: %+v", fits)
	}
	if n, _ := largest(10, func(int) (bool, error) { return true, nil }); n != 10 {
		t.Errorf("largest of ten is %d", n)
	}
}

// Ranks with unequal memory compute micro-batches of the same rows: those that the smallest can.
func TestRanksTakeTheFewestRows(t *testing.T) {
	jobs := make([]*trainJob, 2)
	for rank, budget := range []string{"40GiB", "8GiB"} {
		jobs[rank], _ = planningJob(t, "7b", 4, 3, budget)
	}
	errs := disttest.Each(t, 2, func(g *dist.Group) error {
		jobs[g.Rank()].group = g
		return jobs[g.Rank()].planMemory(false)
	})
	for rank, j := range jobs {
		if errs[rank] != nil || j.r.MicroBatchSize != 2 || j.r.GradAccum != 6 || j.options.Rows != 2 {
			t.Errorf("rank %d: %d rows, %d micro-batches, %v", rank, j.r.MicroBatchSize, j.r.GradAccum, errs[rank])
		}
	}
	if jobs[0].memory.Recompute != engine.RecomputeNone || jobs[1].memory.Recompute != engine.RecomputeBlock {
		t.Errorf("plans %s and %s", jobs[0].memory, jobs[1].memory)
	}
}
