package cli

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/ui"
)

// trainPlan is the message "plan".
type trainPlan struct {
	Run             string `json:"run,omitempty"`
	Method          string `json:"method"`
	Device          string `json:"device"`    // as --device names it
	Precision       string `json:"precision"` // of activations
	TrainedValues   int64  `json:"trained_values"`
	RowTokens       int    `json:"row_tokens"`
	TokensPerStep   int    `json:"tokens_per_step"`
	Recompute       string `json:"recompute"`
	MicroBatchSize  int    `json:"micro_batch_size"`
	GradAccum       int    `json:"grad_accum"`
	Layers          int    `json:"layers"`
	ResidentLayers  int    `json:"resident_layers"` // those whose weights stay on the device
	WeightBytes     int64  `json:"weight_bytes"`
	TrainedBytes    int64  `json:"trained_bytes"`
	ActivationBytes int64  `json:"activation_bytes"`
	WorkspaceBytes  int64  `json:"workspace_bytes"`
	AdapterBytes    int64  `json:"adapter_bytes"`   // trained values, of trained_bytes
	OptimiserBytes  int64  `json:"optimiser_bytes"` // the rest of trained_bytes
	RuntimeBytes    int64  `json:"runtime_bytes"`   // what CUDA takes for itself
	SlotBytes       int64  `json:"slot_bytes"`      // places that streamed layers pass through
	StreamedBytes   int64  `json:"streamed_bytes"`  // their weights, in host memory
	TotalBytes      int64  `json:"total_bytes"`
	BudgetBytes     int64  `json:"budget_bytes,omitempty"` // of the device
	Ranks           int    `json:"ranks"`
}

func (j *trainJob) plan() trainPlan {
	m := newTrainPlan(j.r, j.length, j.memory)
	m.Device, m.BudgetBytes, m.Ranks = j.device.name(), j.options.Budget, j.group.Size()
	return m
}

// newTrainPlan leaves out where the run computes.
func newTrainPlan(r config.Run, length int, p engine.Plan) trainPlan {
	return trainPlan{Run: r.Name, Method: r.Method, Precision: r.Precision, TrainedValues: p.Trained / 16, RowTokens: length,
		TokensPerStep: r.MicroBatchSize * r.GradAccum * length, MicroBatchSize: r.MicroBatchSize, GradAccum: r.GradAccum,
		Recompute: p.Recompute, Layers: p.Layers, ResidentLayers: p.Resident,
		WeightBytes: p.Weights, TrainedBytes: p.Trained, AdapterBytes: p.Adapters(), OptimiserBytes: p.Trained - p.Adapters(),
		ActivationBytes: p.Kept, WorkspaceBytes: p.Workspace, RuntimeBytes: p.Runtime, SlotBytes: p.Slots, StreamedBytes: p.Streamed, TotalBytes: p.Total()}
}

// describe prints what would be trained on what, before anything is allocated.
// The first sample and how it fits are talk, unless they are all that was asked
// for.
func (j *trainJob) describe(dryRun bool) error {
	say, show := j.s.Infof, j.s.Infof
	if dryRun {
		say = j.s.Printf
	}
	if dryRun && !j.s.Quiet {
		show = j.s.Printf
	}
	if err := j.data.describe(j.s, show); err != nil {
		return err
	}
	if j.group.Leads() {
		warnData(j.s, j.data.report)
		warnData(j.s, j.data.evalReport)
	}
	r, plan := j.r, j.plan()
	j.s.Printf("run %s: %s, %s trained values\n", r.Name, r.Method, humanize.Comma(plan.TrainedValues))
	j.s.Printf("tokens per step: %s = %s x %s x %d tokens\n", humanize.Comma(int64(plan.TokensPerStep)),
		english.Plural(r.GradAccum, "micro-batch", "micro-batches"), english.Plural(r.MicroBatchSize, "row", ""), j.length)
	say("memory by arithmetic: %s\n", j.memory)
	if plan.BudgetBytes > 0 {
		say("of a budget of %s, with %d of %s on %s and %s to a micro-batch\n", ui.Size(plan.BudgetBytes),
			plan.ResidentLayers, english.Plural(plan.Layers, "layer", ""), plan.Device, english.Plural(plan.MicroBatchSize, "row", ""))
	}
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
