package child

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// connFD is the descriptor of the connection in the started process: the first
// after the standard ones.
const connFD = 3

// Spawn starts a command with one end of a socket pair as its descriptor 3,
// where Inherited finds it. The command has a process group of its own, so
// that an interrupt from the terminal reaches it through its parent only.
func Spawn(path string, args []string) (*Process, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "engine"), os.NewFile(uintptr(fds[1]), "server")
	conn, err := net.FileConn(ours) // duplicates the descriptor
	if err = errors.Join(err, ours.Close()); err != nil {
		return nil, errors.Join(err, theirs.Close())
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	if err = errors.Join(err, theirs.Close()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Process{Conn: conn, Wait: sync.OnceValue(cmd.Wait), Kill: func() { _ = cmd.Process.Kill() }}, nil
}

// Inherited is the connection of a process that Spawn started.
func Inherited() (net.Conn, error) {
	f := os.NewFile(connFD, "server")
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("no connection at descriptor %d: %w", connFD, err), f.Close())
	}
	return conn, f.Close()
}
