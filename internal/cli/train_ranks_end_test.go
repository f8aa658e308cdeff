package cli

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

// endless is a run that is to be stopped, under way once it has saved twice.
func endless(name string) []string {
	return rankArgs(name, "--max-steps", "20000", "--save-every", "1", "--keep-last", "3")
}

func waitUnderWay(t *testing.T, name string, all []*process) {
	t.Helper()
	for range 600 {
		if all, err := runlog.ReadMetrics("runs/" + name); err == nil && len(all) > 4 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, p := range all {
		t.Logf("%s", &p.err)
	}
	t.Fatal("the run does not get under way")
}

// intact loads every checkpoint of a run.
func intact(t *testing.T, name string) {
	t.Helper()
	all, err := checkpoint.NewStore("outputs/"+name, func(string) {}).List()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d checkpoints of %s, %v", len(all), name, err)
	}
	for _, e := range all {
		if _, err := checkpoint.Load(e.Path); err != nil {
			t.Error(err)
		}
	}
}

// A rank that is killed ends the others within seconds, with a word on which.
func TestKilledRankEndsAll(t *testing.T) {
	tinyRun(t)
	for killed := range 3 {
		name := fmt.Sprintf("killed%d", killed)
		all := startAll(t, 3, endless(name)...)
		waitUnderWay(t, name, all)
		began := time.Now()
		if err := all[killed].cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("rank %d was lost: its process ended, or was killed", killed)
		for rank, p := range all {
			if rank == killed {
				continue
			}
			if code := p.code(t); code != ui.ExitFailure || !strings.Contains(p.err.String(), want) {
				t.Errorf("rank %d: exit code %d: %s", rank, code, &p.err)
			}
			for _, line := range strings.Split(strings.TrimSpace(p.err.String()), "\n") {
				if rank > 0 && !strings.HasPrefix(line, fmt.Sprintf("[rank %d] ", rank)) {
					t.Errorf("rank %d printed %q", rank, line)
				}
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the others took %s to end", took)
		}
		intact(t, name)
		if killed > 0 {
			if status, err := runlog.ReadStatus("runs/" + name); err != nil || status.State != runlog.Failed {
				t.Errorf("status %+v, %v", status, err)
			}
		}
	}
}

// A launcher that is killed leaves no rank behind, and the run saved.
func TestKilledLauncher(t *testing.T) {
	tinyRun(t)
	p := start(t, nil, append(endless("orphan"), "--devices", "cpu,cpu")...)
	waitUnderWay(t, "orphan", []*process{p})
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if status, err := runlog.ReadStatus("runs/orphan"); err == nil && status.State == runlog.Interrupted {
			intact(t, "orphan")
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	status, err := runlog.ReadStatus("runs/orphan")
	t.Errorf("the ranks go on without their launcher: %+v, %v", status, err)
	if err == nil {
		syscall.Kill(status.PID, syscall.SIGKILL)
	}
}

// Ctrl-C on the launcher, and a signal to any one rank, save and end all.
func TestSignalsStopAllRanks(t *testing.T) {
	tinyRun(t)
	p := start(t, nil, append(endless("launcher"), "--devices", "cpu,cpu")...)
	waitUnderWay(t, "launcher", []*process{p})
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.code(t); code != ui.ExitInterrupted || !strings.Contains(p.err.String(), "--resume last --name launcher") {
		t.Errorf("exit code %d: %s", code, &p.err)
	}
	intact(t, "launcher")
	for asked := range 2 {
		name := fmt.Sprintf("asked%d", asked)
		all := startAll(t, 2, endless(name)...)
		waitUnderWay(t, name, all)
		for range 2 { // as the terminal and torchrun do
			if err := all[asked].cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		for rank, p := range all {
			if code := p.code(t); code != ui.ExitInterrupted || !strings.Contains(p.err.String(), "the run is saved in") {
				t.Errorf("asked rank %d: rank %d: exit code %d: %s", asked, rank, code, &p.err)
			}
		}
		intact(t, name)
	}
}
