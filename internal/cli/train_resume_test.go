package cli

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/monitor"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// The command that a message names goes on with the run, wherever that is.
func TestResumeHintWorks(t *testing.T) {
	tinyRun(t)
	for _, where := range [][]string{
		{"--name", "mine"}, {"-o", "elsewhere/run"}, {"-o", "my runs/it's", "--name", "odd"}, {"-o", "outputs/other", "--name", "named"},
	} {
		args := tinyArgs(append(where, "--max-steps", "2")...)
		mustRun(t, args...)
		code, _, errOut := runMain(t, args...)
		_, command, ok := strings.Cut(errOut, ": qlora ")
		if code != ui.ExitUsage || !ok {
			t.Fatalf("%v: exit code %d: %s", where, code, errOut)
		}
		command, _, _ = strings.Cut(command, "\n")
		words := shellWords(command)
		_, talk := mustRun(t, append(words, "--max-steps", "3")...)
		if !strings.Contains(talk, "continuing from ") {
			t.Errorf("%q: %s", words, talk)
		}
	}
}

// shellWords takes a line apart as a shell does, for the quotes of shellWord.
func shellWords(line string) []string {
	const escaped = "\x00"
	var words []string
	line = strings.ReplaceAll(line, `'\''`, escaped)
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, strings.ReplaceAll(part, escaped, "'"))
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

func TestResumeNamesWhatIsMissing(t *testing.T) {
	tinyRun(t)
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"--resume last", "no run in outputs has a checkpoint", ui.ExitFailure},
		{"--resume last --name typo", "outputs/typo does not exist", ui.ExitFailure},
		{"--resume best -o some/typo", "some/typo does not exist", ui.ExitFailure},
		{"--resume outputs/typo", "outputs/typo does not exist", ui.ExitFailure},
		{"--resume outputs/typo/checkpoint-4", "outputs/typo/checkpoint-4 does not exist", ui.ExitFailure},
		{"--resume empty", "empty: no complete checkpoint", ui.ExitFailure},
		{"--resume base.gguf", "base.gguf: that is a file", ui.ExitUsage},
	} {
		code, _, errOut := runMain(t, append([]string{"train"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(errOut, c.want) || strings.Contains(errOut, "no model") {
			t.Errorf("%s: exit code %d, want %d with %q: %s", c.args, code, c.code, c.want, errOut)
		}
	}
	if exists("outputs") || exists("runs") {
		t.Error("a refused resume made folders")
	}
}

func TestResumeFindsTheRun(t *testing.T) {
	tinyRun(t)
	for _, name := range []string{"older", "newer"} {
		mustRun(t, tinyArgs("--name", name, "--max-steps", "2")...)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes("outputs/newer/checkpoint-2/DONE", past, past.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes("outputs/older/checkpoint-2/DONE", past, past); err != nil {
		t.Fatal(err)
	}
	_, talk := mustRun(t, "train", "--resume", "last", "--max-steps", "3")
	if !strings.Contains(talk, "newest run, outputs/newer") || !strings.Contains(talk, "continuing from outputs/newer/checkpoint-2") {
		t.Errorf("last: %s", talk)
	}
	_, talk = mustRun(t, "train", "--resume", "outputs/older/", "--max-steps", "3")
	if !strings.Contains(talk, "continuing from outputs/older/checkpoint-2") || !exists("runs/older/summary.json") {
		t.Errorf("a run's folder: %s", talk)
	}
	code, _, errOut := runMain(t, "train", "--resume", "outputs/older", "-o", "outputs/newer")
	if code != ui.ExitUsage || !strings.Contains(errOut, "two runs") {
		t.Errorf("two folders: exit code %d: %s", code, errOut)
	}
}

// An interrupted demo in another folder is told how to go on as well: its
// training has a name that its folder does not follow from.
func TestInterruptedElsewhere(t *testing.T) {
	err := explainTraining(&train.Interrupted{Step: 3}, foldersOf(config.Run{Name: "demo", Output: "else/where"}))
	if hints := strings.Join(ui.Hints(err), "\n"); !strings.HasSuffix(hints, "qlora train --resume last --output else/where") {
		t.Errorf("hints %q", hints)
	}
}

// The step of an interrupted run is that of its checkpoint, reported or not.
func TestInterruptedRunSaysItsStep(t *testing.T) {
	tinyRun(t)
	ctx, cancel := context.WithCancel(context.Background())
	s, out, _ := ui.Test()
	s.Out = &watcher{to: out, text: `"path":"outputs/mine/checkpoint-3"`, found: cancel}
	args := append(tinyArgs("--name", "mine", "--json"), "--log-every", "3", "--eval-every", "0")
	if code := execute(ctx, args, s); code != ui.ExitInterrupted {
		t.Fatalf("exit code %d", code)
	}
	status, err := runlog.ReadStatus("runs/mine")
	if err != nil || !exists("outputs/mine/checkpoint-4") || status.Step != 4 {
		t.Errorf("status %+v, %v", status, err)
	}
	runs, err := monitor.NewReader("runs").Read(t.Context())
	if err != nil || len(runs) != 1 || *runs[0].Step != 4 {
		t.Errorf("runs: %+v, %v", runs, err)
	}
}
