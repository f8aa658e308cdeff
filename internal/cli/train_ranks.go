package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// trainCommand is train alone, as one of several ranks, or as their launcher.
func trainCommand(cmd *cobra.Command, o trainOptions, s *ui.Streams) error {
	world, err := dist.FromEnv(config.OSEnv)
	if err != nil {
		return ui.Fail(ui.ExitUsage, err, "see docs/ranks.md for the variables, or unset them to train in one process")
	}
	devices, err := parseDevices(o.devices)
	if err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	if world == nil && len(devices) > 1 {
		return launch(cmd.Context(), o, devices, s)
	}
	if o.device, err = rankDevice(devices, world); err != nil {
		return ui.Fail(ui.ExitUsage, err, "name as many devices as there are ranks on a machine, or leave --devices out")
	}
	if world == nil {
		_, err = runTrain(cmd.Context(), o, s)
		return err
	}
	return runRank(cmd, o, *world, s)
}

// runRank trains as one of several ranks; all of them end when one does.
func runRank(cmd *cobra.Command, o trainOptions, world dist.World, s *ui.Streams) error {
	if world.Rank > 0 {
		quieten(s, world.Rank)
	}
	ctx, err := applyGlobals(cmd, s) // again: the logger is to write where this rank does
	if err != nil {
		return err
	}
	patience, listener, err := joinOptions()
	if err != nil {
		return err
	}
	s.Infof("waiting for %s at %s\n", english.Plural(world.Size, "rank", ""), world.Addr)
	g, err := dist.Join(ctx, world, dist.Options{Join: patience, Listener: listener})
	if errors.Is(err, context.Canceled) {
		return ui.Fail(ui.ExitInterrupted, errors.New("interrupted before training began"))
	}
	if err != nil {
		return ui.Fail(ui.ExitFailure, err, "all ranks need the same MASTER_ADDR, a free MASTER_PORT and WORLD_SIZE; see docs/ranks.md",
			fmt.Sprintf("wait longer with %s", joinVar))
	}
	defer g.Close()
	o.group = g
	_, err = runTrain(ctx, o, s)
	if code := exitCode(err); code != ui.ExitSkipped && !train.OnAllRanks(err) {
		g.Abort(code, err)
	}
	if world.LocalSize == world.Size && toldByFirst(err) {
		return &reported{exitCode(err)}
	}
	return err
}

// toldByFirst tells whether rank 0 has told of err on its own terminal.
func toldByFirst(err error) bool {
	var peer *dist.PeerError
	return errors.As(err, &peer) && peer.Told && peer.Rank == 0
}

// signalRepeats is how long signals to a rank are one request. torchrun and its
// like pass on a Ctrl-C that the terminal has sent to every rank already; when
// our own launcher is killed, each of its threads makes the kernel send one.
func signalRepeats() time.Duration {
	world, err := dist.FromEnv(config.OSEnv)
	switch {
	case err != nil || world == nil:
		return 0
	case os.Getenv(dist.TokenVar) != "":
		return 250 * time.Millisecond
	}
	return 3 * time.Second
}

// quieten leaves errors and warnings of a rank other than 0, with the rank
// before each line.
func quieten(s *ui.Streams, rank int) {
	s.Err = &linePrefix{to: s.Err, prefix: fmt.Sprintf("[rank %d] ", rank)}
	s.Out, s.JSON, s.Quiet, s.OutTTY, s.ErrTTY = io.Discard, false, true, false, false
}

// startTime is when the run began, by rank 0's clock, from which all ranks take
// the same name and day.
func (o trainOptions) startTime() (time.Time, error) {
	text, err := o.group.Broadcast([]byte(time.Now().Format(time.RFC3339Nano)))
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, string(text))
}

// checkRanks refuses a step with fewer micro-batches than ranks.
func checkRanks(r config.Run, ranks int) error {
	if r.GradAccum >= ranks {
		return nil
	}
	return ui.Fail(ui.ExitUsage, fmt.Errorf("--grad-accum %d is fewer micro-batches than %d ranks: it counts those of the whole step", r.GradAccum, ranks),
		fmt.Sprintf("give --grad-accum %d, with a smaller --micro-batch-size for the same step", ranks))
}

// ownSettings may differ between ranks: names of files and folders, whose
// content is compared, and what changes no result.
var ownSettings = []string{"model", "data", "eval-data", "from", "chat-template", "output", "threads", "device", "n-gpu-layers", "vram-budget"}

// agree holds what this rank would train to what the others would.
func (j *trainJob) agree(l *train.Loop, step int) error {
	if j.group.Size() == 1 {
		return nil
	}
	mine := maps.Clone(l.Options.Identity.Settings) // the model's fingerprint among them
	mine["training data"], mine["version"] = l.Options.Identity.Data, versionString()
	mine["steps"], mine["first step"], mine["row length"] = fmt.Sprint(l.Planned()), fmt.Sprint(step), fmt.Sprint(j.length)
	if j.data.eval != nil {
		mine["evaluation data"] = train.DataFingerprint(j.data.eval)
	}
	for _, key := range config.RunKeys() {
		if !slices.Contains(ownSettings, key) {
			mine[key] = j.r.Text(key)
		}
	}
	return ui.Fail(ui.ExitUsage, j.group.Agree(mine), "start all ranks with the same settings, model and data")
}

// explainRanks gives errors of other ranks their exit codes and hints.
func explainRanks(err error, f runFolders) error {
	var peer *dist.PeerError
	var coded *ui.CodedError
	switch {
	case errors.As(err, &coded) || !errors.As(err, &peer):
		return err
	case !peer.Told && f.occupied():
		return ui.Fail(peer.Code, err, "go on from the last checkpoint, with any number of ranks: "+f.resumeCommand())
	}
	return ui.Fail(peer.Code, err)
}

// shareHost divides the threads and the memory of this machine among its ranks,
// where they compute on the processor.
func shareHost(o *engine.Options, g *dist.Group) (err error) {
	if g.Size() == 1 || o.Module != nil {
		return nil
	}
	local := g.World().LocalSize
	if o.Threads == 0 {
		o.Threads = max(1, runtime.NumCPU()/local)
	}
	o.MemoryBudget, err = engine.HostBudget(local)
	return err
}

// dealt says what each rank computes of a step.
func (j *trainJob) dealt() string {
	n, accum := j.group.Size(), j.r.GradAccum
	each := fmt.Sprint(accum / n)
	if accum%n > 0 {
		each = fmt.Sprintf("%d or %d", accum/n, accum/n+1)
	}
	return fmt.Sprintf("%d ranks: each computes %s of the %d micro-batches of a step; gradients travel by %s", n, each, accum, j.parallel.Transport())
}
