package cli

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
)

// trainPlan is the message "plan".
type trainPlan struct {
	Run             string `json:"run"`
	Method          string `json:"method"`
	Device          string `json:"device"`    // as --device names it
	Precision       string `json:"precision"` // of activations
	TrainedValues   int64  `json:"trained_values"`
	RowTokens       int    `json:"row_tokens"`
	TokensPerStep   int    `json:"tokens_per_step"`
	Recompute       string `json:"recompute"`
	WeightBytes     int64  `json:"weight_bytes"`
	TrainedBytes    int64  `json:"trained_bytes"`
	ActivationBytes int64  `json:"activation_bytes"`
	WorkspaceBytes  int64  `json:"workspace_bytes"`
	TotalBytes      int64  `json:"total_bytes"`
	Ranks           int    `json:"ranks"`
}

func (j *trainJob) plan() trainPlan {
	r, p := j.r, j.engine.Plan()
	return trainPlan{Run: r.Name, Method: r.Method, Device: j.device.name(), Precision: r.Precision, TrainedValues: p.Trained / 16, RowTokens: j.length,
		TokensPerStep: r.MicroBatchSize * r.GradAccum * j.length, Recompute: p.Recompute, WeightBytes: p.Weights,
		TrainedBytes: p.Trained, ActivationBytes: p.Kept, WorkspaceBytes: p.Workspace, TotalBytes: p.Total(), Ranks: j.group.Size()}
}

// describe prints what would be trained on what, before the first step.
func (j *trainJob) describe() error {
	if err := j.data.describe(j.s); err != nil {
		return err
	}
	r, plan := j.r, j.plan()
	size := func(n int64) string { return humanize.IBytes(uint64(n)) }
	j.s.Printf("run %s: %s, %s trained values\n", r.Name, r.Method, humanize.Comma(plan.TrainedValues))
	j.s.Printf("tokens per step: %s = %d micro-batches x %d rows x %d tokens\n",
		humanize.Comma(int64(plan.TokensPerStep)), r.GradAccum, r.MicroBatchSize, j.length)
	if j.group.Size() > 1 {
		j.s.Printf("%s\n", j.dealt())
	}
	j.s.Printf("memory by arithmetic: %s = weights %s + trained %s + activations %s (recompute %s) + workspace %s\n",
		size(plan.TotalBytes), size(plan.WeightBytes), size(plan.TrainedBytes), size(plan.ActivationBytes), plan.Recompute, size(plan.WorkspaceBytes))
	return j.s.Event("plan", plan)
}

// dryRunSummary is the message "summary" of train --dry-run.
type dryRunSummary struct {
	Run            string `json:"run"`
	DryRun         bool   `json:"dry_run"` // always true
	Steps          int    `json:"steps"`   // always 0: none was done
	PlannedSteps   int    `json:"planned_steps"`
	TokensPerStep  int    `json:"tokens_per_step"`
	TotalBytes     int64  `json:"total_bytes"`
	SkippedRecords int    `json:"skipped_records"`
}

// dryRun ends a run that was only to be described.
func (j *trainJob) dryRun() error {
	loop := j.loop(nil)
	if err := loop.Prepare(nil); err != nil {
		return fmt.Errorf("plan the run: %w", err)
	}
	plan := j.plan()
	m := dryRunSummary{Run: j.r.Name, DryRun: true, PlannedSteps: loop.Planned(), TokensPerStep: plan.TokensPerStep,
		TotalBytes: plan.TotalBytes, SkippedRecords: j.data.skippedRecords()}
	j.s.Printf("dry run: %s planned, nothing was written\n", english.Plural(m.PlannedSteps, "step", ""))
	if err := j.s.Event("summary", m); err != nil {
		return err
	}
	return j.skipped()
}
