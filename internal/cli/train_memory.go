package cli

import (
	"fmt"
	"path/filepath"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/engine"
)

// planMemory decides how the run fits, before anything is allocated. A step's rows may become more micro-batches of fewer
// rows; that is then what the settings say.
func (j *trainJob) planMemory(resumed bool) error {
	asked := rowChoice{rows: j.r.MicroBatchSize, accum: j.r.GradAccum, fixed: resumed}
	chosen, err := asked, error(nil)
	if j.options, err = j.memoryOptions(); err != nil {
		return err
	}
	if j.memory, err = chosen.fit(j.base, &j.options, j.device.onGPU()); err != nil {
		err = fmt.Errorf("prepare %s for training: %w", j.r.Model, asked.refusedRows(err))
		return invalidInput(err, prepareHints(j.r, err)...)
	}
	if least, err := j.leastRows(chosen.rows, asked.rows); err != nil {
		return err
	} else if least < chosen.rows {
		chosen = asked
		chosen.rows, chosen.accum = least, asked.accum*asked.rows/least
		if j.options, err = j.memoryOptions(); err != nil {
			return err
		}
		if j.memory, err = chosen.fit(j.base, &j.options, j.device.onGPU()); err != nil {
			return invalidInput(fmt.Errorf("prepare %s for training: %w", j.r.Model, err))
		}
	}
	chosen.warnFewer(asked, j.s)
	j.r.MicroBatchSize, j.r.GradAccum = chosen.rows, chosen.accum
	return nil
}

// memoryOptions are the options of the engine with the memory that it may take.
func (j *trainJob) memoryOptions() (o engine.Options, err error) {
	o = engineOptions(j.r, j.device, j.length)
	if err := shareHost(&o, j.group); err != nil {
		return o, err
	}
	o.Budget, err = j.device.budget(j.r.VRAMBudget)
	return o, err
}

// leastRows is the smallest micro-batch that any rank had to choose, at most most.
func (j *trainJob) leastRows(mine, most int) (int, error) {
	if j.group.Size() == 1 {
		return mine, nil
	}
	chosen := make([]float64, most+1) // how many ranks chose each
	chosen[mine] = 1
	if err := j.group.Sum64(chosen); err != nil {
		return 0, err
	}
	for rows, ranks := range chosen {
		if ranks > 0 {
			return rows, nil
		}
	}
	return mine, nil
}

// keepRows takes the micro-batches that the run to be resumed was found to fit with, where its steps are as large as those
// of r.
func keepRows(r *config.Run) {
	var first config.Run
	path := filepath.Join(r.Output, configFile)
	if !exists(path) || config.ReadFile(path, &first) != nil {
		return // a run that left no settings is held to those of its checkpoint
	}
	if first.MicroBatchSize < r.MicroBatchSize && first.MicroBatchSize*first.GradAccum == r.MicroBatchSize*r.GradAccum {
		r.MicroBatchSize, r.GradAccum = first.MicroBatchSize, first.GradAccum
	}
}
