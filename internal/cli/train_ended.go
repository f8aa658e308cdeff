package cli

import (
	"fmt"

	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/train"
)

// endedBefore makes ended true of a run that has nothing left to do and whose
// result is whole, and says so: its record is not to become that of a process
// that trained nothing. Rank 0 decides; it alone has the result.
func (j *trainJob) endedBefore(loop *train.Loop, step int) (*trainSummary, error) {
	reason := loop.Ended()
	if step == 0 || reason == "" {
		return nil, nil
	}
	var told []byte
	m := j.folders.result(step)
	if m != nil {
		told = []byte{1}
	}
	told, err := j.group.Broadcast(told)
	if err != nil || len(told) == 0 {
		return nil, err
	}
	j.ended = true
	if !j.group.Leads() {
		return nil, nil
	}
	j.s.Printf("run %s has finished already: step %d of %d, %s\n", j.r.Name, step, max(step, loop.Planned()), reason)
	j.s.Printf("its result is %s\n", m.Adapter)
	j.s.Infof("hint: %s\n", j.folders.longer(j.r.Patience))
	return m, j.s.Event("summary", m)
}

// longer is how to go on with a run that has finished.
func (f runFolders) longer(patience int) string {
	flags := "--max-steps or --epochs"
	if patience > 0 {
		flags = "--max-steps, --epochs or --patience"
	}
	return fmt.Sprintf("to train longer, add a higher %s: %s", flags, f.resumeCommand())
}

// result is what a run that finished after step has left, nil for any other.
func (f runFolders) result(step int) *trainSummary {
	status, err := runlog.ReadStatus(f.runs)
	if err != nil || status.State != runlog.Finished {
		return nil
	}
	m, err := readSummary(f.output)
	if err != nil || m == nil || m.Steps != step || !exists(m.Adapter) {
		return nil
	}
	return m
}
