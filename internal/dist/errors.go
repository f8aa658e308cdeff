package dist

import (
	"errors"
	"fmt"
)

// PeerError says that a rank failed, and with it all of them.
type PeerError struct {
	Rank int
	Code int    // the exit code it ends with, 1 where it could not say
	Text string // what went wrong there
	Told bool   // by that rank itself, which has said so to its user too
}

func (e *PeerError) Error() string { return fmt.Sprintf("rank %d %s", e.Rank, e.Text) }

// Mismatch says in what the ranks differ.
type Mismatch struct{ Text string }

func (e *Mismatch) Error() string { return "the ranks differ: " + e.Text }

// ErrClosed says that the group was closed before.
var ErrClosed = errors.New("the group of ranks is closed")
