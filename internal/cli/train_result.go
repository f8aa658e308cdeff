package cli

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// trainSummary is the result of a run: the last JSON line, summary.json in the
// output and in the run's folder.
type trainSummary struct {
	Run             string      `json:"run"`
	Steps           int         `json:"steps"`
	TrainedTokens   int64       `json:"trained_tokens"` // tokens with loss
	TrainLoss       float64     `json:"train_loss"`     // mean over them, nats
	EvalLossBefore  *float64    `json:"eval_loss_before"`
	EvalLoss        *float64    `json:"eval_loss"`
	BestEvalLoss    *float64    `json:"best_eval_loss"`
	BestStep        int         `json:"best_step"`
	TokensPerSecond float64     `json:"tokens_per_second"`
	PeakRSSBytes    uint64      `json:"peak_rss_bytes"`
	PeakVRAMBytes   uint64      `json:"peak_vram_bytes"`
	GPUs            []gpuPeak   `json:"gpus,omitempty"`
	Adapter         string      `json:"adapter"` // for method full, the model
	BestAdapter     string      `json:"best_adapter,omitempty"`
	Checkpoint      string      `json:"checkpoint"`
	Reason          string      `json:"reason"` // why the run ended
	SkippedRecords  int         `json:"skipped_records"`
	Data            *dataCounts `json:"data,omitempty"`
}

func newTrainSummary(name string, r *train.Result) *trainSummary {
	return &trainSummary{Run: name, Steps: r.Steps, TrainedTokens: r.TrainedTokens, TrainLoss: r.TrainLoss,
		EvalLossBefore: r.FirstEvalLoss, EvalLoss: r.EvalLoss, BestEvalLoss: r.BestEvalLoss, BestStep: r.BestStep,
		TokensPerSecond: r.TokensPerSecond, PeakRSSBytes: r.Memory.PeakRSS, PeakVRAMBytes: r.Memory.PeakVRAM,
		Checkpoint: r.Checkpoint, Reason: r.Reason}
}

// print says the result in words.
func (m *trainSummary) print(s *ui.Streams) {
	s.Printf("done: %s after %s, %s, train loss %.4f\n", m.Reason, english.Plural(m.Steps, "step", ""),
		english.Plural(int(m.TrainedTokens), "trained token", ""), m.TrainLoss)
	if m.EvalLossBefore != nil && m.EvalLoss != nil {
		before, after := *m.EvalLossBefore, *m.EvalLoss
		s.Printf("eval loss %.4f -> %.4f (%+.1f %%)", before, after, 100*(after-before)/before)
		if m.BestEvalLoss != nil && m.BestStep != m.Steps {
			s.Printf(", best %.4f after step %d", *m.BestEvalLoss, m.BestStep)
		}
		s.Printf("\n")
	}
	for _, peak := range m.GPUs {
		peak.print(s)
	}
	s.Printf("wrote %s\n", m.Adapter)
	if m.BestAdapter != "" {
		s.Printf("wrote %s (the best evaluation)\n", m.BestAdapter)
	}
}

// explainTraining gives the errors of a run their exit codes and hints.
func explainTraining(err error, f runFolders) error {
	resume := "go on with: " + f.resumeCommand()
	var diverged *train.Diverged
	var interrupted *train.Interrupted
	switch {
	case errors.As(err, &diverged):
		hints := []string{"try a lower --learning-rate, a longer --warmup-steps or a smaller --clip"}
		if diverged.LossScale > 0 {
			hints = append(hints, "f16 ends at 65504: try --precision f32, or bf16 where the GPU computes it")
		}
		if diverged.LastGood != "" {
			hints = append(hints, "the last good checkpoint is "+diverged.LastGood)
		}
		return ui.Fail(ui.ExitDiverged, err, hints...)
	case errors.As(err, &interrupted):
		return ui.Fail(ui.ExitInterrupted, err, resume)
	case errors.Is(err, train.ErrOtherRun), errors.Is(err, checkpoint.ErrLayout):
		return ui.Fail(ui.ExitUsage, err, "give the settings of the first run, or start a new one with --from and another --name")
	case errors.Is(err, checkpoint.ErrCorrupt), errors.Is(err, checkpoint.ErrIncomplete):
		return ui.Fail(ui.ExitInvalid, err, "continue from another checkpoint: --resume last")
	case errors.Is(err, checkpoint.ErrNone):
		return ui.Fail(ui.ExitFailure, err, "leave --resume out to start the run")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ui.Fail(ui.ExitFailure, err, "free some space; every finished checkpoint is whole", resume)
	case deviceFailure(err) != nil:
		return deviceFailure(err)
	case errors.Is(err, syscall.ENOMEM):
		return ui.Fail(ui.ExitDevice, err, "use less memory: --recompute block, a smaller --micro-batch-size or --ctx-size")
	}
	return explainRanks(err, f)
}

// endState is how the run's folder records the end of a run.
func endState(err error) runlog.State {
	var diverged *train.Diverged
	var interrupted *train.Interrupted
	switch {
	case err == nil:
		return runlog.Finished
	case errors.As(err, &diverged):
		return runlog.Diverged
	case errors.As(err, &interrupted):
		return runlog.Interrupted
	}
	return runlog.Failed
}

// invalidInput gives errors of model and data files their exit code.
func invalidInput(err error, hints ...string) error {
	var coded *ui.CodedError
	var mismatch *lora.MismatchError
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case deviceFailure(err) != nil:
		return deviceFailure(err)
	case errors.As(err, &mismatch):
		return ui.Fail(ui.ExitInvalid, err, "an adapter fits only the model that it was trained on")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOMEM):
		return err
	}
	return ui.Fail(ui.ExitInvalid, err, hints...)
}
