package train

import "fmt"

// Diverged says that a loss or a gradient norm stopped being a number. The
// weights in the engine are not to be used; LastGood is the path of the newest
// checkpoint, empty when there is none.
type Diverged struct {
	Step      int
	What      string // "loss", "gradient norm" or "evaluation loss"
	Value     float64
	LossScale float64 // above 0 where activations are F16, whose range may be why
	LastGood  string
}

func (d *Diverged) Error() string {
	return fmt.Sprintf("training diverged: the %s of step %d is %v", d.What, d.Step, d.Value)
}

// Interrupted says that the run was asked to stop and saved Checkpoint first.
type Interrupted struct {
	Step       int
	Checkpoint string
}

func (i *Interrupted) Error() string {
	return fmt.Sprintf("interrupted after step %d; the run is saved in %s", i.Step, i.Checkpoint)
}
