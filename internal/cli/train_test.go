package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

func TestEverySettingHasAFlag(t *testing.T) {
	var keys []string
	for _, s := range trainSettings {
		keys = append(keys, s.key)
	}
	want := config.RunKeys()
	slices.Sort(keys)
	slices.Sort(want)
	if !slices.Equal(keys, want) {
		t.Errorf("flags %v\nsettings %v", keys, want)
	}
	for _, a := range trainAliases {
		if !slices.Contains(want, a.key) {
			t.Errorf("--%s stands for %s, which is no setting", a.name, a.key)
		}
	}
}

// parseTrain reads args as train would and resolves the settings.
func parseTrain(t *testing.T, args ...string) (config.Run, error) {
	t.Helper()
	s, _, _ := ui.Test()
	root := newRootCmd(s)
	args, err := rewriteArgs(root, append([]string{"train"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	var o trainOptions
	cmd := newTrainCmd(s)
	cmd.ResetFlags()
	o.addFlags(cmd)
	cmd.Flags().SetNormalizeFunc(func(f *pflag.FlagSet, name string) pflag.NormalizedName { return dashes(f, name) })
	if err := cmd.Flags().Parse(args[1:]); err != nil {
		return config.Run{}, err
	}
	return o.resolve(time.Unix(0, 0).UTC())
}

func TestSpellingsOfOtherTools(t *testing.T) {
	t.Chdir(t.TempDir())
	r, err := parseTrain(t, "-m", "dir/b.gguf", "-d", "x.jsonl", "-d", "y.jsonl:0.3", "-c", "64", "-t", "3", "-lr", "1e-3",
		"-ngl", "9", "--per_device_train_batch_size", "5", "--gradient-accumulation-steps=6", "--lora_r", "7", "--lora-alpha", "8",
		"--lr_scheduler_type", "linear", "--num_train_epochs", "2", "--pack=false", "--rslora")
	if err != nil {
		t.Fatal(err)
	}
	want := config.DefaultRun()
	want.Model, want.Data, want.CtxSize, want.Threads = "dir/b.gguf", []string{"x.jsonl", "y.jsonl:0.3"}, 64, 3
	want.LearningRate, want.NGPULayers, want.MicroBatchSize, want.GradAccum = 1e-3, 9, 5, 6
	want.Rank, want.Alpha, want.Schedule, want.Epochs, want.Pack, want.RSLoRA = 7, 8, "linear", 2, false, true
	want.Name, want.Output, want.TemplateDate = "b-19700101-000000", "outputs/b-19700101-000000", "1970-01-01"
	for _, key := range config.RunKeys() {
		if r.Text(key) != want.Text(key) {
			t.Errorf("%s is %s, want %s", key, r.Text(key), want.Text(key))
		}
	}
}

func TestNamesOfRuns(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct{ args, name, output string }{
		{"--name mine", "mine", "outputs/mine"},
		{"-o elsewhere/mine", "mine", "elsewhere/mine"},
		{"-o elsewhere/out --name mine", "mine", "elsewhere/out"},
		{"--resume outputs/mine/checkpoint-7", "mine", "outputs/mine"},
		{"--resume last --name mine", "mine", "outputs/mine"},
	} {
		r, err := parseTrain(t, append(strings.Fields(c.args), "-m", "b.gguf", "-d", "x")...)
		if err != nil || r.Name != c.name || r.Output != c.output {
			t.Errorf("%s: name %q output %q, %v", c.args, r.Name, r.Output, err)
		}
	}
}

// A resumed run takes its own settings; flags still win.
func TestResumeReadsItsOwnSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("outputs/mine", 0o755); err != nil {
		t.Fatal(err)
	}
	first, err := parseTrain(t, "--name", "mine", "-m", "b.gguf", "-d", "x", "--rank", "3", "--max-steps", "5")
	if err != nil {
		t.Fatal(err)
	}
	text, err := first.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("outputs/mine/config.yaml", text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, which := range [][]string{{"--resume", "last", "--name", "mine"}, {"--resume", "outputs/mine/checkpoint-2/"}} {
		r, err := parseTrain(t, append(which, "--max-steps", "9")...)
		if err != nil || r.Rank != 3 || r.MaxSteps != 9 || r.Model != "b.gguf" {
			t.Errorf("%v: %+v, %v", which, r, err)
		}
	}
}

func TestBadSettingsAreUsageErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range []string{
		"-m b.gguf", "-d x", "-m b.gguf -d x --schedule cosin", "-m b.gguf -d x --rank 0", "-m b.gguf -d x --method dora",
		"-m b.gguf -d x --rank many", "-m b.gguf -d x --dropout 1", "-m b.gguf -d x -b 4", "-m b.gguf -d x -ub 4",
		"-m b.gguf -d x --grad-accum 0", "-m b.gguf -d x --lr-min 1", "-m b.gguf -d x --name a/b", "-m b.gguf -d x stray",
		"-m b.gguf -d x --config missing.yaml", "-m b.gguf -d x --patience 2",
		"-m b.gguf -d x --template-date yesterday", "-m b.gguf -d x --loss some", "-m b.gguf -d x --over-length cut", "-m b.gguf -d x:0",
	} {
		s, _, errOut := ui.Test()
		if code := Main(append([]string{"train"}, strings.Fields(args)...), s); code != ui.ExitUsage {
			t.Errorf("%s: exit code %d, want 2; %s", args, code, errOut)
		}
	}
	if left, _ := os.ReadDir("."); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestClaim(t *testing.T) {
	t.Chdir(t.TempDir())
	f := foldersOf(config.Run{Name: "mine", Output: "outputs/mine"})
	held, err := f.claim(false, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.claim(false, false); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("claimed twice: %v", err)
	}
	held.release()
	if err := os.MkdirAll("outputs/mine/checkpoint-3", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.claim(false, false); err == nil || !strings.Contains(err.Error(), "unfinished run") {
		t.Errorf("over an unfinished run: %v", err)
	}
	if err := os.WriteFile("outputs/mine/summary.json", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.claim(false, false); err == nil || !strings.Contains(err.Error(), "a finished run") || exitCode(err) != ui.ExitUsage {
		t.Errorf("over a finished run: %v", err)
	}
	for _, c := range []struct{ resume, force bool }{{true, false}, {false, true}} {
		held, err := f.claim(c.resume, c.force)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if !exists("outputs/mine/summary.json") {
			t.Fatalf("%+v: the earlier run was put aside already", c)
		}
		s, _, _ := ui.Test()
		if err := held.putAside(s); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if _, err := f.claim(c.resume, true); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("%+v: claimed twice: %v", c, err)
		}
		held.release()
	}
	if exists("outputs/mine/summary.json") || !exists("outputs/mine.1/summary.json") || !exists("outputs/mine.1/checkpoint-3") {
		t.Error("--force did not put the earlier run aside whole")
	}
}

func TestUnwritableOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("outputs", []byte("a file"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := foldersOf(config.Run{Name: "mine", Output: "outputs/mine"}).claim(false, false)
	if err == nil || exitCode(err) != ui.ExitFailure || !strings.Contains(err.Error(), "cannot write to outputs/mine") {
		t.Errorf("error %v", err)
	}
}

func TestCheckSpace(t *testing.T) {
	dir := t.TempDir()
	if err := checkSpace(dir, 1, "a byte"); err != nil {
		t.Error(err)
	}
	if err := checkSpace(dir, 1<<62, "a checkpoint"); err == nil || exitCode(err) != ui.ExitFailure || !strings.Contains(err.Error(), "a checkpoint needs 4.0 EiB") {
		t.Errorf("error %v", err)
	}
}

func TestExitCodesOfTraining(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		hint string
	}{
		{&train.Diverged{Step: 3, What: "loss", LastGood: "outputs/x/checkpoint-2"}, ui.ExitDiverged, "outputs/x/checkpoint-2"},
		{&train.Diverged{Step: 3, What: "loss", LossScale: 1}, ui.ExitDiverged, "--precision f32"},
		{&train.Interrupted{Step: 3}, ui.ExitInterrupted, "--resume last --name x"},
		{train.ErrOtherRun, ui.ExitUsage, "--from"},
		{checkpoint.ErrCorrupt, ui.ExitInvalid, "--resume last"},
		{checkpoint.ErrNone, ui.ExitFailure, "--resume"},
		{&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, ui.ExitFailure, "free some space"},
		{syscall.ENOMEM, ui.ExitDevice, "--recompute block"},
		{errors.New("other"), ui.ExitFailure, ""},
	} {
		err := explainTraining(c.err, foldersOf(config.Run{Name: "x", Output: "outputs/x"}))
		if exitCode(err) != c.code || !strings.Contains(strings.Join(ui.Hints(err), "\n"), c.hint) {
			t.Errorf("%v: exit code %d, hints %q", c.err, exitCode(err), ui.Hints(err))
		}
	}
}

func TestWriteWholeReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	for _, v := range []int{1, 2} {
		if err := writeSummary(path, v); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "2\n" {
		t.Errorf("%q, %v", text, err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}
