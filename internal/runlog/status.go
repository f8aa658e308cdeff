package runlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// State says how far a run has come.
type State string

// The states of a run. Killed is never written: it is what a reader concludes
// when a run says that it is running and its process is gone.
const (
	Running     State = "running"
	Finished    State = "finished"
	Interrupted State = "interrupted"
	Diverged    State = "diverged"
	Failed      State = "failed"
	Killed      State = "killed"
)

// Ended tells whether the run is known to write no more.
func (s State) Ended() bool {
	switch s {
	case Finished, Interrupted, Diverged, Failed, Killed:
		return true
	}
	return false
}

// Status is the content of status.json.
type Status struct {
	State   State     `json:"state"`
	Step    int       `json:"step"` // last one done, written when the run ends
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
	Updated time.Time `json:"updated"`
	Error   string    `json:"error,omitempty"`
}

func newStatus() Status {
	host, err := os.Hostname()
	if err != nil {
		host = "" // then no reader takes itself for the same host
	}
	return Status{State: Running, PID: os.Getpid(), Host: host, Started: time.Now()}
}

func (r *Run) writeStatus() error {
	r.status.Updated = time.Now()
	text, err := json.MarshalIndent(r.status, "", "  ")
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	return writeFile(filepath.Join(r.dir, StatusFile), append(text, '\n'))
}

// ReadStatus reads the status of the run in dir. State is Killed when the run
// was left running by a process of this host that no longer exists.
func ReadStatus(dir string) (Status, error) {
	var s Status
	path := filepath.Join(dir, StatusFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("read status: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("read status from %s: %w", path, err)
	}
	host, err := os.Hostname()
	if s.State == Running && err == nil && s.Host == host && processGone(s.PID) {
		s.State = Killed
	}
	return s, nil
}

// processGone is certain: a process of another user answers EPERM and is there.
func processGone(pid int) bool {
	return pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
