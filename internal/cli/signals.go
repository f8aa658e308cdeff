package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/qlora/qlora/internal/ui"
)

// stopSignals ask a command to end. A hang-up that is ignored from the start,
// as under nohup, stays so.
func stopSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// grace is what a command may take to end before it is said to be at work.
const grace = 200 * time.Millisecond

// await returns the command's own code, unless a second signal comes first. A
// hang-up is no second one: the shell and the kernel both send one when a
// terminal closes, and a shutdown sends it right behind SIGTERM.
func await(done <-chan int, signals <-chan os.Signal, cancel context.CancelFunc, s *ui.Streams) int {
	var first os.Signal
	select {
	case code := <-done:
		return code
	case first = <-signals:
		outlive(s)
		cancel()
	}
	began, slow := time.Now(), time.After(grace)
	for {
		select {
		case code := <-done:
			return code
		case <-slow:
			sayStopping(first, s)
		case again := <-signals:
			if again != syscall.SIGHUP && time.Since(began) >= signalRepeats() {
				return ui.ExitInterrupted
			}
		}
	}
}

// outlive lets a command go on to its end when the terminal, or the program that its output went through, ends with it: Ctrl-C
// also ends the tee of "qlora train | tee log", and a write to it would end train before it has saved.
func outlive(s *ui.Streams) {
	s.HangUp()
	signal.Ignore(syscall.SIGPIPE)
}

func sayStopping(sig os.Signal, s *ui.Streams) {
	lead := ""
	if s.ErrTTY {
		lead = "\n" // off the line of a progress bar and of the terminal's ^C
	}
	again := "once more to stop at once"
	if sig == syscall.SIGHUP {
		again = "SIGTERM stops it at once"
	}
	s.Infof("%sqlora: %s: finishing what is under way; %s\n", lead, sig, again)
}
