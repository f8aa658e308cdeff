package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dist"
)

// OnAllRanks tells whether err is one that all ranks of a run came to by
// themselves, because they agreed on it: none has to be told.
func OnAllRanks(err error) bool {
	var diverged *Diverged
	var interrupted *Interrupted
	var mismatch *dist.Mismatch
	return errors.As(err, &diverged) || errors.As(err, &interrupted) || errors.As(err, &mismatch)
}

// mine tells whether micro-batch i, of a step or of the evaluation data, is one
// of this rank's: they are dealt out in turn.
func (l *Loop) mine(i int) bool { return i%l.Group.Size() == l.Group.Rank() }

// stopping tells whether ctx of any rank has ended, the same on all.
func (l *Loop) stopping(ctx context.Context) (bool, error) {
	flag := []float64{0}
	if ctx.Err() != nil {
		flag[0] = 1
	}
	err := l.Group.Sum64(flag)
	return err == nil && flag[0] > 0, err
}

// sameWeights fails on all ranks when their weights are not the same bytes.
// Without a state it takes the engine's.
func (l *Loop) sameWeights(state *checkpoint.State) (err error) {
	if l.Group.Size() == 1 {
		return nil
	}
	if state == nil {
		if state, err = l.Engine.State(); err != nil {
			return fmt.Errorf("compare the weights of the ranks: %w", err)
		}
	}
	return l.Group.Agree(map[string]string{fmt.Sprintf("the digest of the weights after step %d", l.p.Step): weightsDigest(state.Weights)})
}

// weightsDigest is SHA-256 over the bytes of w, its first 128 bits.
func weightsDigest(w []float32) string {
	h := sha256.New()
	buffer := make([]byte, 0, 64<<10)
	for part := range slices.Chunk(w, cap(buffer)/4) {
		buffer, _ = binary.Append(buffer[:0], binary.LittleEndian, part) // fails for what has no fixed size alone
		h.Write(buffer)
	}
	return hexDigest(h)
}
