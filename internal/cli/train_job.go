package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// trainJob is a run with its files open, ready to be described and trained.
type trainJob struct {
	r        config.Run
	device   computeDevice
	s        *ui.Streams
	folders  runFolders
	claim    *claim // on folders; nil for a rank that writes nothing
	base     *gguf.File
	data     *trainData
	length   int // tokens of a row
	options  engine.Options
	memory   engine.Plan // of options
	engine   *engine.Engine
	gpus     *trainGPUs
	group    *dist.Group      // nil for one process alone
	parallel *engine.Parallel // engine in step with those of the group; nil alone
	ended    bool             // before this process: there was nothing to train
}

// openJob reads the model's header and the data and plans the memory. resumed
// says that the run has begun, so that its micro-batches are settled.
func openJob(ctx context.Context, r config.Run, device computeDevice, g *dist.Group, resumed bool, s *ui.Streams) (job *trainJob, err error) {
	j := &trainJob{r: r, device: device, s: s, folders: foldersOf(r), group: g}
	defer func() {
		if err != nil {
			j.Close()
		}
	}()
	if j.base, err = openBase(r); err != nil {
		return nil, err
	}
	if r.Method == engine.MethodQLoRA {
		if _, err := lora.Targets(loraConfig(r), j.base); err != nil {
			return nil, ui.Fail(ui.ExitUsage, err, "choose what to adapt with --target all, attn, mlp or a list")
		}
	}
	context := contextLength(j.base, r, s)
	if j.data, err = loadTrainData(ctx, r, j.base, context, g.Size(), s); err != nil {
		return nil, err
	}
	j.length = rowLength(r, j.data, context)
	j.gpus = startTrainGPUs(gpu.Open, runDevices(device))
	if err := j.planMemory(resumed); err != nil {
		return nil, err
	}
	return j, nil
}

// openEngine builds the engine and joins it to those of the other ranks.
func (j *trainJob) openEngine() (err error) {
	if j.engine, err = engine.New(j.base, j.options); err != nil {
		return invalidInput(fmt.Errorf("prepare %s for training: %w", j.r.Model, err), prepareHints(j.r, err)...)
	}
	if j.group.Size() == 1 {
		return nil
	}
	if j.parallel, err = j.engine.Parallel(j.group); err != nil {
		return err
	}
	j.s.Printf("%s\n", j.dealt())
	return nil
}

// Close frees the engine and the model's mapping and ends the sampling of GPUs.
// It may be called twice.
func (j *trainJob) Close() error {
	errs := []error{j.gpus.Stop()}
	if j.parallel != nil {
		errs = append(errs, j.parallel.Close())
	}
	if j.engine != nil {
		errs = append(errs, j.engine.Close())
	}
	if j.data != nil {
		errs = append(errs, j.data.Close())
	}
	if j.base != nil {
		errs = append(errs, j.base.Close())
	}
	j.parallel, j.engine, j.data, j.base = nil, nil, nil, nil
	return errors.Join(errs...)
}

// contextLength is the number of tokens a sample may have: what was asked for,
// at most what the model was made for.
func contextLength(base *gguf.File, r config.Run, s *ui.Streams) int {
	arch, _ := base.String("general.architecture")
	limit, ok := base.Uint(arch + ".context_length")
	if !ok || limit == 0 || uint64(r.CtxSize) <= limit {
		return r.CtxSize
	}
	if r.CtxSize != config.DefaultRun().CtxSize {
		s.Warnf("the model was made for %d tokens: --ctx-size %d is lowered to that", limit, r.CtxSize)
	}
	return int(limit)
}

// rowAlign is what row lengths are rounded up to when rows are padded.
const rowAlign = 32

// rowLength is the tokens of a row: the context when samples are packed, the
// longest sample when each has a row of its own.
func rowLength(r config.Run, d *trainData, context int) int {
	if r.Pack {
		return context
	}
	longest := (d.longest() + rowAlign - 1) / rowAlign * rowAlign
	return min(context, longest)
}

// skipped is the error of a run that left records out, exit code 3, or nil.
func (j *trainJob) skipped() error {
	n := j.data.skippedRecords()
	if n == 0 || j.ended {
		return nil
	}
	return ui.Fail(ui.ExitSkipped, fmt.Errorf("%s left out as unreadable", english.Plural(n, "record", "")))
}

// train runs the loop and writes the result. Nothing of an earlier run is
// touched before the loop has taken its checkpoint.
func (j *trainJob) train(ctx context.Context, o trainOptions) (*trainSummary, error) {
	store := checkpoint.NewStore(j.r.Output, func(text string) { j.s.Warnf("%s", text) })
	var from *checkpoint.Checkpoint
	step := 0
	if o.resume != "" {
		var err error
		if from, err = store.Open(o.resume); err != nil {
			return nil, err
		}
		step = from.Progress.Step
	}
	loop := j.loop(store)
	if err := loop.Prepare(from); err != nil {
		return nil, err
	}
	if err := j.agree(loop, step); err != nil {
		return nil, err
	}
	if summary, err := j.endedBefore(loop, step); err != nil || j.ended {
		return summary, err
	}
	if !j.group.Leads() {
		return nil, j.follow(ctx, loop, from)
	}
	if from != nil {
		j.s.Infof("continuing from %s\n", from.Path)
	}
	if err := j.writeSettings(from != nil); err != nil {
		return nil, err
	}
	rep, err := newReporter(j.folders, step, from != nil, j.s)
	if err != nil {
		return nil, err
	}
	rep.gpus = j.gpus
	summary, err := j.runLoop(ctx, loop, from, rep)
	if closeErr := rep.Close(err); err == nil {
		err = closeErr
	}
	if err == nil {
		err = j.group.Barrier()
	}
	return summary, err
}

// follow trains as a rank that writes nothing, and ends when rank 0 has written
// the result.
func (j *trainJob) follow(ctx context.Context, loop *train.Loop, from *checkpoint.Checkpoint) error {
	if _, err := loop.Run(ctx, from); err != nil {
		return err
	}
	return j.group.Barrier()
}

// writeSettings leaves the resolved settings beside the result and in the
// run's folder. An earlier run is put aside for them, as late as can be: all
// else that may fail has been tried. A resumed run no longer has a result.
func (j *trainJob) writeSettings(resumed bool) error {
	if err := checkSpace(j.r.Output, j.memory.Trained*5/4, "one checkpoint and the result",
		"free some space or choose another folder with --output", "keep fewer checkpoints with --keep-last 1"); err != nil {
		return err
	}
	if err := j.claim.putAside(j.s); err != nil {
		return err
	}
	if resumed {
		if err := os.Remove(filepath.Join(j.r.Output, summaryFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("withdraw the earlier summary: %w", err)
		}
	}
	text, err := settingsText(j.r)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(j.r.Output, configFile), text)
}

// settingsText is the resolved settings as a file. A folder that follows from
// the name is left out, so that --config FILE --name OTHER goes elsewhere.
func settingsText(r config.Run) ([]byte, error) {
	if r.Output == defaultOutput(r.Name) {
		r.Output = ""
	}
	return r.YAML()
}

func (j *trainJob) runLoop(ctx context.Context, loop *train.Loop, from *checkpoint.Checkpoint, rep *reporter) (*trainSummary, error) {
	if text, err := settingsText(j.r); err != nil {
		return nil, err
	} else if err := rep.run.WriteConfig(text); err != nil {
		return nil, err
	}
	rep.attach(loop)
	if len(j.r.SamplePrompts) > 0 {
		loop.OnSave("samples", func(e train.Saved) error { return j.sample(ctx, e, rep) })
	}
	loop.OnSave("best adapter", func(e train.Saved) error {
		if !e.Best {
			return nil
		}
		state, err := j.engine.State()
		if err != nil {
			return err
		}
		return j.export(j.resultPath(true), state)
	})
	result, err := loop.Run(ctx, from)
	if err != nil {
		return nil, err
	}
	return j.finish(result, loop.Store, rep)
}

// loop is the training loop of the job, without hooks.
func (j *trainJob) loop(store *checkpoint.Store) *train.Loop {
	l := &train.Loop{Engine: j.engine, Data: j.data.epochs(j.r, j.length), Eval: j.data.evaluation(j.r, j.length),
		Store: store, Options: loopOptions(j.r), Group: j.group}
	if j.parallel != nil {
		l.Engine = j.parallel
	}
	id := &l.Options.Identity
	id.Settings, id.ConfigHash = j.r.Identity(train.ModelFingerprint(j.base))
	id.Data = train.DataFingerprint(j.data.set)
	if j.r.Method == engine.MethodQLoRA {
		l.Extras = func(state *checkpoint.State) []checkpoint.Extra {
			return []checkpoint.Extra{{Name: "adapter.gguf", Write: func(path string) error { return j.export(path, state) }}}
		}
	}
	return l
}

// resultPath is the file of the trained adapter or model, or that of the best
// evaluation.
func (j *trainJob) resultPath(best bool) string {
	name := "adapter"
	if j.r.Method == engine.MethodFull {
		name = "model"
	}
	if best {
		name += "-best"
	}
	return filepath.Join(j.r.Output, name+".gguf")
}

func (j *trainJob) export(path string, state *checkpoint.State) error {
	if j.r.Method == engine.MethodFull {
		return train.ExportModel(path, state, j.base)
	}
	return train.ExportAdapter(path, j.r.Name, state, loraConfig(j.r), j.base)
}

// finish writes the results of a run that came to its end, the summary last.
func (j *trainJob) finish(result *train.Result, store *checkpoint.Store, rep *reporter) (*trainSummary, error) {
	rep.bar.Finish()
	m := newTrainSummary(j.r.Name, result)
	m.SkippedRecords, m.Data = j.data.skippedRecords(), j.data.counts()
	rep.addPeaks(m)
	state, err := j.engine.State()
	if err != nil {
		return nil, err
	}
	m.Adapter = j.resultPath(false)
	if err := j.export(m.Adapter, state); err != nil {
		return nil, err
	}
	if m.BestAdapter, err = j.exportBest(result, store); err != nil {
		return nil, err
	}
	if err := j.writeCard(m); err != nil {
		return nil, err
	}
	if err := errors.Join(writeSummary(filepath.Join(j.r.Output, summaryFile), m), rep.run.WriteSummary(m)); err != nil {
		return nil, err
	}
	m.print(j.s)
	return m, j.s.Event("summary", m)
}

// exportBest writes the state with the lowest evaluation loss, if training
// lowered it at all.
func (j *trainJob) exportBest(result *train.Result, store *checkpoint.Store) (string, error) {
	path := j.resultPath(true)
	if result.BestStep == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("withdraw an earlier best adapter: %w", err)
		}
		return "", nil
	}
	best, err := store.Open("best")
	if err != nil {
		return "", err
	}
	return path, j.export(path, best.State)
}
