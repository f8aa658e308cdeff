package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/ui"
)

// afterFirst is how long ranks have to end by themselves once one has.
const afterFirst = 45 * time.Second

// launch starts a rank for each device and waits for all of them.
func launch(ctx context.Context, o trainOptions, devices []string, s *ui.Streams) error {
	r, err := o.resolve(time.Now()) // once, rather than in every rank
	if err != nil && o.resume == "" {
		return ui.Fail(ui.ExitUsage, err, "see 'qlora train --help' for the settings")
	}
	if err == nil {
		if err := checkRanks(r, len(devices)); err != nil {
			return err
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open a port for the ranks: %w", err)
	}
	defer ln.Close()
	runtime.LockOSThread() // the ranks end with the thread that started them
	defer runtime.UnlockOSThread()
	s.Quiet = true // rank 0 talks
	ranks, err := startRanks(len(devices), ln.(*net.TCPListener), s)
	if err != nil {
		ranks.kill()
		return err
	}
	return ranks.wait(ctx)
}

// ranks are the processes of one launch, by rank, and where their ends come in.
type ranks struct {
	all  []*exec.Cmd
	ends chan rankEnd
}

type rankEnd struct {
	rank int
	err  error
}

func startRanks(n int, ln *net.TCPListener, s *ui.Streams) (*ranks, error) {
	r := &ranks{ends: make(chan rankEnd, n)}
	self, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("find this program: %w", err)
	}
	port, err := ln.File()
	if err != nil {
		return r, fmt.Errorf("pass the port on: %w", err)
	}
	defer port.Close()
	token := rand.Text()
	for rank := range n {
		cmd := exec.Command(self, os.Args[1:]...)
		cmd.Args[0] = os.Args[0]
		cmd.Stdout, cmd.Stderr = s.Out, s.Err
		cmd.Env = rankEnv(rank, n, ln.Addr().(*net.TCPAddr).Port, token)
		if rank == 0 {
			cmd.ExtraFiles = []*os.File{port} // its descriptor is 3
			cmd.Env = append(cmd.Env, listenerVar+"=3")
		}
		// A group of their own, so that Ctrl-C reaches them once, through us.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
		if err := cmd.Start(); err != nil {
			return r, fmt.Errorf("start rank %d: %w", rank, err)
		}
		r.all = append(r.all, cmd)
		go func() { r.ends <- rankEnd{rank, cmd.Wait()} }()
	}
	return r, nil
}

// rankEnv is the environment of a rank: what torchrun would set.
func rankEnv(rank, size, port int, token string) []string {
	return append(slices.Clone(os.Environ()), "RANK="+strconv.Itoa(rank), "WORLD_SIZE="+strconv.Itoa(size),
		"LOCAL_RANK="+strconv.Itoa(rank), "LOCAL_WORLD_SIZE="+strconv.Itoa(size),
		"MASTER_ADDR=127.0.0.1", dist.PortVar+"="+strconv.Itoa(port), dist.TokenVar+"="+token)
}

// signal sends sig to the ranks that still run.
func (r *ranks) signal(sig os.Signal) {
	for _, cmd := range r.all {
		_ = cmd.Process.Signal(sig) // one that has ended is no matter
	}
}

// kill ends the ranks at once.
func (r *ranks) kill() {
	r.signal(os.Kill)
	for range r.all {
		<-r.ends
	}
}

// wait passes a stop on and returns when all ranks have ended. Those that do
// not follow the first one that failed are killed.
func (r *ranks) wait(ctx context.Context) error {
	stop, late := ctx.Done(), (<-chan time.Time)(nil)
	ends := make([]error, len(r.all))
	for left := len(r.all); left > 0; {
		select {
		case <-stop:
			r.signal(syscall.SIGTERM)
			stop = nil
		case <-late:
			r.signal(os.Kill)
		case end := <-r.ends:
			ends[end.rank], left = end.err, left-1
			if end.err != nil && late == nil {
				late = time.After(afterFirst)
			}
		}
	}
	return launchResult(ends, ctx.Err() != nil)
}

// launchResult is rank 0's exit code, which says what ended them all, or that
// of the first other rank that has one.
func launchResult(ends []error, stopped bool) error {
	for rank, err := range ends {
		var exit *exec.ExitError
		switch {
		case err == nil:
		case errors.As(err, &exit) && exit.Exited():
			return &reported{exit.ExitCode()}
		case stopped: // before it could hear of it
			return ui.Fail(ui.ExitInterrupted, errors.New("interrupted before training began"))
		default:
			return fmt.Errorf("rank %d: %w", rank, err)
		}
	}
	return nil
}

// reported is a failure that another process has told of.
type reported struct{ code int }

func (r *reported) Error() string { return fmt.Sprintf("a rank ended with exit code %d", r.code) }
