package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/checkpoint"
)

// Options says how long and in what portions a Loop trains.
type Options struct {
	Seed  uint64
	Accum int // micro-batches of a step; the last window of an epoch may have fewer
	// Epochs and MaxSteps both end a run, whichever comes first; 0 does not.
	Epochs, MaxSteps int
	// Schedule's Total and its Decay and Warmup, where given as shares, are
	// filled in by the loop once it knows the number of steps.
	Schedule    Schedule
	WarmupShare float64 // of all steps, when Schedule.Warmup is 0
	DecayShare  float64 // of all steps, when Schedule.Decay is 0
	Clip        float64 // largest gradient norm, 0 for none
	// EvalEvery, SaveEvery and LogEvery count steps; 0 is at the end only.
	EvalEvery, SaveEvery, LogEvery int
	Patience                       int // evaluations without a better one before stopping, 0 for never
	KeepLast                       int // newest checkpoints to keep, 0 for all
	Identity                       Identity
}

// Identity is what must not change between a run and its continuation.
type Identity struct {
	Settings   map[string]string // those that decide what is computed, by name
	ConfigHash string
	Data       string // fingerprint of the training data
}

// ErrOtherRun says that a checkpoint belongs to a run with other settings.
var ErrOtherRun = errors.New("the checkpoint belongs to another run")

// Match holds a checkpoint's progress to the identity of the run that is to
// continue from it. The error wraps ErrOtherRun and names what differs.
func (id Identity) Match(p checkpoint.Progress) error {
	var differ []string
	names := slices.Sorted(maps.Keys(id.Settings))
	for name := range p.Settings {
		if _, ok := id.Settings[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if was, is := p.Settings[name], id.Settings[name]; was != is {
			differ = append(differ, fmt.Sprintf("%s was %q and is %q", name, was, is))
		}
	}
	if p.DataFingerprint != id.Data {
		differ = append(differ, "the training data changed")
	}
	if len(differ) == 0 && p.ConfigHash != id.ConfigHash {
		differ = append(differ, "the settings have another digest")
	}
	if len(differ) > 0 {
		return fmt.Errorf("%w: %s", ErrOtherRun, strings.Join(differ, "; "))
	}
	return nil
}

// Check says what is wrong with o.
func (o Options) Check() error {
	switch {
	case o.Accum < 1:
		return fmt.Errorf("%d micro-batches per step: at least 1", o.Accum)
	case o.Epochs < 0 || o.MaxSteps < 0:
		return fmt.Errorf("%d epochs, %d steps: neither can be negative", o.Epochs, o.MaxSteps)
	case o.Epochs == 0 && o.MaxSteps == 0:
		return errors.New("neither a number of epochs nor of steps: the run would never end")
	case o.EvalEvery < 0 || o.SaveEvery < 0 || o.LogEvery < 0 || o.Patience < 0 || o.KeepLast < 0:
		return errors.New("the eval, save and log intervals, patience and keep-last cannot be negative")
	case !(o.Clip >= 0):
		return fmt.Errorf("clip %g: it cannot be negative", o.Clip)
	case !(o.WarmupShare >= 0 && o.WarmupShare <= 1) || !(o.DecayShare >= 0 && o.DecayShare <= 1):
		return fmt.Errorf("warm-up share %g, decay share %g: both lie between 0 and 1", o.WarmupShare, o.DecayShare)
	}
	return o.Schedule.Check()
}

// every tells whether step is a multiple of interval; interval 0 has none.
func every(step, interval int) bool { return interval > 0 && step%interval == 0 }
