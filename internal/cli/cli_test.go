package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/ui"
)

func TestExitCodes(t *testing.T) {
	cases := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("boom"), 1},
		{asUsage(nil, errors.New("unknown flag")), 2},
		{ui.Fail(ui.ExitInvalid, errors.New("bad magic")), 4},
		{fmt.Errorf("load: %w", ui.Fail(ui.ExitDiverged, errors.New("NaN"))), 6},
		{fmt.Errorf("train: %w", context.Canceled), 130},
		{fmt.Errorf("map: %w", syscall.ENOMEM), 5},
	}
	for _, c := range cases {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	s, out, errOut := ui.Test()
	err := ui.Fail(ui.ExitInvalid, errors.New("Cannot read x.gguf"), "run qlora inspect x.gguf")
	if code := report(s, err); code != 4 {
		t.Errorf("code %d", code)
	}
	if want := "qlora: error: cannot read x.gguf\nhint: run qlora inspect x.gguf\n"; errOut.String() != want || out.Len() != 0 {
		t.Errorf("err %q, out %q", errOut, out)
	}
	s.JSON = true
	report(s, err)
	want := `{"message_type":"error","error":"cannot read x.gguf","exit_code":4,"hints":["run qlora inspect x.gguf"]}` + "\n"
	if out.String() != want {
		t.Errorf("got %s want %s", out, want)
	}
}

// TestFirstSignalCancelsSecondStops drives await with signals of our own.
func TestReportOfAnInterruption(t *testing.T) {
	s, _, errOut := ui.Test()
	if code := report(s, fmt.Errorf("fill the gap of a.jsonl:3: %w", context.Canceled)); code != ui.ExitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if got := errOut.String(); got != "qlora: error: fill the gap of a.jsonl:3: interrupted\n" {
		t.Errorf("it says %q", got)
	}
}

func TestFirstSignalCancelsSecondStops(t *testing.T) {
	s, _, errOut := ui.Test()
	ctx, cancel := context.WithCancel(context.Background())
	done, signals := make(chan int, 1), make(chan os.Signal, 2)
	signals <- os.Interrupt
	go func() {
		<-ctx.Done()
		time.Sleep(2 * grace)
		done <- 77
	}()
	if code := await(done, signals, cancel, s); code != 77 {
		t.Errorf("after one signal the command's own code counts: got %d", code)
	}
	if !strings.Contains(errOut.String(), "once more to stop at once") {
		t.Errorf("said %q", errOut)
	}
	errOut.Reset()
	signals <- os.Interrupt
	if code := await(done, signals, func() { done <- 78 }, s); code != 78 || errOut.Len() != 0 {
		t.Errorf("a command that ends at once: got %d, said %q", code, errOut)
	}
	signals <- syscall.SIGTERM
	signals <- syscall.SIGTERM
	if code := await(make(chan int), signals, func() {}, s); code != ui.ExitInterrupted {
		t.Errorf("after two signals: got %d", code)
	}
}

// TestHangUpIsNoSecondSignal: whoever closes a terminal sends several signals
// and cannot mean that the command should leave its work undone.
func TestHangUpIsNoSecondSignal(t *testing.T) {
	for _, first := range []os.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		s, _, _ := ui.Test()
		done, signals := make(chan int, 1), make(chan os.Signal, 2)
		signals <- first
		signals <- syscall.SIGHUP
		go func() {
			time.Sleep(2 * grace)
			done <- 77
		}()
		if code := await(done, signals, func() {}, s); code != 77 {
			t.Errorf("%s, then a hang-up: got %d", first, code)
		}
		signal.Reset(syscall.SIGPIPE)
	}
}

func TestLoggerLevels(t *testing.T) {
	for verbose, want := range []string{"warned", "informed warned", "debugged informed warned", "debugged informed warned"} {
		s, _, errOut := ui.Test()
		log := newLogger(s, verbose)
		log.Debug().Msg("debugged")
		log.Info().Msg("informed")
		log.Warn().Msg("warned")
		var got []string
		for _, word := range []string{"debugged", "informed", "warned"} {
			if bytes.Contains(errOut.Bytes(), []byte(word)) {
				got = append(got, word)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("-v %d: got %q, want %q", verbose, got, want)
		}
	}
}
