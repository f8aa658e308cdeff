package cli

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qlora/qlora/internal/ui"
)

// scrubbing is a scrub that has begun to write and waits for more input.
func scrubbing(t *testing.T) (p *process, in io.WriteCloser) {
	t.Helper()
	t.Chdir(t.TempDir())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	p = startWith(t, func(cmd *exec.Cmd) { cmd.Stdin = r }, nil, "prep", "scrub", "-o", "out.jsonl")
	r.Close() // the process has its own
	for range 200 {
		if left := folder(t); len(left) == 1 && strings.HasPrefix(left[0], "out.jsonl.tmp-") {
			return p, w
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("it does not begin:\n%s", &p.err)
	return nil, nil
}

// heedHangUp makes processes that are started heed SIGHUP, also where the tests
// run under nohup.
func heedHangUp(t *testing.T) {
	t.Helper()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
}

// folder names what is in the working directory.
func folder(t *testing.T) (names []string) {
	t.Helper()
	all, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// TestHangUpLeavesNoFile: a terminal that is closed ends a command as SIGTERM
// does.
func TestHangUpLeavesNoFile(t *testing.T) {
	heedHangUp(t)
	p, _ := scrubbing(t)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code := p.code(t); code != ui.ExitInterrupted || !strings.Contains(p.err.String(), "interrupted") {
		t.Errorf("exit code %d: %s", code, &p.err)
	}
	if left := folder(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestIgnoredHangUp: nohup starts a command with SIGHUP ignored, and it goes on.
func TestIgnoredHangUp(t *testing.T) {
	signal.Ignore(syscall.SIGHUP)
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
	p, in := scrubbing(t)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // in which it would end
	if _, err := io.WriteString(in, "{}\n"); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.code(t); code != ui.ExitOK {
		t.Errorf("exit code %d: %s", code, &p.err)
	}
	if text, err := os.ReadFile("out.jsonl"); err != nil || string(text) != "{}\n" {
		t.Errorf("wrote %q, %v", text, err)
	}
}

// TestTheRunIsSavedForNobody: train finishes its step and saves, also when what
// read its output is gone, as the tee of a pipe is with the same Ctrl-C.
func TestTheRunIsSavedForNobody(t *testing.T) {
	heedHangUp(t)
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) { savesForNobody(t, sig) })
	}
}

func savesForNobody(t *testing.T, sig syscall.Signal) {
	tinyRun(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	p := startWith(t, func(cmd *exec.Cmd) { cmd.Stdout = w }, nil, append(endless("closed"), "--json")...)
	w.Close() // the process has its own
	waitUnderWay(t, "closed", []*process{p})
	time.Sleep(500 * time.Millisecond) // it fills the pipe, and waits
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.code(t); code != ui.ExitInterrupted || !strings.Contains(p.err.String(), "--resume last --name closed") {
		t.Errorf("exit code %d: %s", code, &p.err)
	}
	intact(t, "closed")
}
