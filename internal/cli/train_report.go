package cli

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/rs/zerolog"

	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/tfevents"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// reporter carries what a run says to the terminal, to the run's folder, to
// TensorBoard and to the log.
type reporter struct {
	s      *ui.Streams
	run    *runlog.Run
	events *tfevents.Writer
	file   *os.File
	log    zerolog.Logger
	bar    *ui.Progress // of this process's steps, so that its rate is theirs
	label  string       // of the bar
	from   int          // the step that the run goes on from
	last   runlog.Metrics
	gpus   *trainGPUs
	total  int

	overflowed bool // and was said
}

// newReporter opens the files of a run; step is where it goes on, 0 for a new
// one.
func newReporter(f runFolders, step int, resumed bool, s *ui.Streams) (*reporter, error) {
	p := &reporter{s: s, bar: &ui.Progress{}}
	var err error
	if resumed {
		p.run, err = runlog.Continue(f.runs, step)
		err = unreadableReports(err)
	} else {
		p.run, err = f.newRun(s)
	}
	if err != nil {
		return nil, err
	}
	if p.events, err = createEvents(f.runs, step, resumed); err != nil {
		return nil, errors.Join(err, p.run.Close(runlog.Failed, err))
	}
	if p.file, err = os.OpenFile(f.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("open log: %w", err), p.events.Close(), p.run.Close(runlog.Failed, err))
	}
	p.log = zerolog.New(p.file).With().Timestamp().Str("run", f.name).Logger()
	return p, nil
}

// newRun starts the records of a run and keeps those of an earlier one.
func (f runFolders) newRun(s *ui.Streams) (*runlog.Run, error) {
	if f.recorded() {
		if err := f.putRecordsAside(s); err != nil {
			return nil, err
		}
	}
	return runlog.Create(f.runs)
}

// unreadableReports says what to do about the line that keeps a run from being
// resumed: its reports are rewritten then, and none is to get lost.
func unreadableReports(err error) error {
	var bad runlog.BadLine
	if !errors.As(err, &bad) {
		return err
	}
	return ui.Fail(ui.ExitInvalid, fmt.Errorf("resume the run's reports: %w", err),
		fmt.Sprintf("remove or repair line %d of %s and resume again; the checkpoints are whole", bad.Line, bad.Path))
}

// createEvents starts the event file of a run that goes on after step. Files of
// an earlier process may hold later steps, which metrics.jsonl has dropped.
func createEvents(dir string, step int, resumed bool) (*tfevents.Writer, error) {
	w, err := tfevents.Create(dir)
	if err != nil || !resumed {
		return w, err
	}
	if err := w.Restart(int64(step)+1, time.Now()); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close records how the run ended.
func (p *reporter) Close(cause error) error {
	p.bar.Finish()
	state := endState(cause)
	p.log.Info().Str("state", string(state)).AnErr("cause", cause).Msg("end")
	return errors.Join(p.events.Close(), p.run.Close(state, cause), p.file.Close())
}

// attach hooks the reporter to a loop.
func (p *reporter) attach(l *train.Loop) {
	l.OnStart("log", p.start)
	l.OnStep("progress", func(s train.Step) error {
		p.bar.Set(int64(s.Step - p.from))
		p.run.Reach(s.Step)
		return nil
	})
	l.OnStep("overflow", p.overflow)
	l.OnReport("metrics", p.report)
	l.OnEvalPart("progress bar", p.evalPart)
	l.OnEval("metrics", p.evaluation)
	l.OnSave("log", p.saved)
}

func (p *reporter) start(e train.Start) error {
	p.total, p.from = e.Total, e.Step
	p.startBar()
	p.gpus.announce(p.log)
	p.log.Info().Int("step", e.Step).Int("total_steps", e.Total).Str("schedule", e.Schedule.String()).Msg("start")
	return p.s.Event("start", map[string]any{"step": e.Step, "total_steps": e.Total, "schedule": e.Schedule.String()})
}

// startBar shows the steps that are left to this process.
func (p *reporter) startBar() {
	p.label = "train"
	if p.from > 0 {
		p.label = fmt.Sprintf("train from step %d", p.from)
	}
	if p.total > p.from {
		p.bar = ui.NewProgress(p.s, int64(p.total-p.from), p.label, "step")
	}
}

func (p *reporter) report(r train.Report) error {
	m := runlog.Metrics{Step: r.Step, TotalSteps: r.Total, Epoch: r.Epoch, Loss: r.Loss, GradNorm: r.GradNorm, LR: r.LR,
		TokensPerSecond: r.TokensPerSecond, TrainedTokensPerSecond: r.TrainedTokensPerSecond, ETASeconds: r.ETA.Seconds(), TrainedTokens: r.TrainedTokens,
		RSSBytes: r.Memory.RSS, PeakRSSBytes: r.Memory.PeakRSS, VRAMBytes: r.Memory.VRAM, LossScale: r.LossScale, SkippedSteps: r.Overflows, Time: time.Now()}
	samples := p.gpus.latest()
	addGPUs(&m, samples)
	p.last = m
	p.lostGPUs()
	p.line("%s\n", m)
	p.log.Info().Int("step", m.Step).Float64("loss", m.Loss).Float64("grad_norm", m.GradNorm).Float64("learning_rate", m.LR).
		Float64("tokens_per_second", m.TokensPerSecond).Float64("trained_tokens_per_second", r.TrainedTokensPerSecond).
		Int64("trained_tokens", m.TrainedTokens).Uint64("rss_bytes", m.RSSBytes).Uint64("peak_rss_bytes", r.Memory.PeakRSS).Msg("report")
	return errors.Join(p.run.Write(m), p.s.Event("metrics", m), p.scalars(m.Step, m.Time, append([]scalar{
		{"train/loss", m.Loss}, {"train/grad_norm", m.GradNorm}, {"train/learning_rate", m.LR}, {"train/epoch", m.Epoch},
		{"train/tokens_per_second", m.TokensPerSecond}, {"train/trained_tokens_per_second", r.TrainedTokensPerSecond},
		{"memory/rss_bytes", float64(m.RSSBytes)}, {"memory/peak_rss_bytes", float64(r.Memory.PeakRSS)},
		{"memory/vram_bytes", float64(m.VRAMBytes)},
	}, append(scaleScalars(m), gpuScalars(samples)...)...)))
}

// scaleScalars is how the loss scale fares, where there is one.
func scaleScalars(m runlog.Metrics) []scalar {
	if m.LossScale == 0 {
		return nil
	}
	return []scalar{{"train/loss_scale", m.LossScale}, {"train/skipped_steps", float64(m.SkippedSteps)}}
}

// overflow says once that steps may be left out, and logs each.
func (p *reporter) overflow(s train.Step) error {
	if !s.Overflowed {
		return nil
	}
	if !p.overflowed {
		p.line("step %d was left out: its gradient overflowed f16 at a loss scale of %g, which was halved; further ones are counted as skipped_steps\n", s.Step, s.LossScale)
	}
	p.overflowed = true
	p.log.Info().Int("step", s.Step).Float64("loss_scale", s.LossScale).Msg("overflow")
	return nil
}

func (p *reporter) evalPart(e train.EvalPart) error {
	label := p.label
	if e.Done < e.Total {
		label = fmt.Sprintf("eval %d/%d", e.Done, e.Total)
	}
	p.bar.Describe(label)
	return nil
}

// evaluation becomes a line of metrics.jsonl with the figures of the step's
// report, where there is one.
func (p *reporter) evaluation(e train.Evaluation) error {
	m := p.last
	if m.Step != e.Step || e.Step == 0 {
		none := math.NaN() // written as null: this step has no report
		m = runlog.Metrics{Step: e.Step, TotalSteps: p.total, Loss: none, GradNorm: none, LR: none,
			TokensPerSecond: none, TrainedTokensPerSecond: none, ETASeconds: none, TrainedTokens: p.last.TrainedTokens}
		memory := train.ProcessMemory()
		m.RSSBytes, m.PeakRSSBytes = memory.RSS, memory.PeakRSS
		addGPUs(&m, p.gpus.latest())
	}
	m.Epoch, m.EvalLoss, m.Time = e.Epoch, &e.Loss, time.Now()
	best := ""
	if e.Best && e.Step > 0 {
		best = "  best so far"
	}
	p.line("step %d/%d  eval loss %.4f  perplexity %.3f over %s%s\n", e.Step, p.total, e.Loss, math.Exp(e.Loss),
		english.Plural(int(e.Tokens), "token", ""), best)
	p.log.Info().Int("step", e.Step).Float64("eval_loss", e.Loss).Int64("tokens", e.Tokens).Bool("best", e.Best).
		Dur("took", e.Took).Msg("eval")
	return errors.Join(p.run.Write(m), p.s.Event("metrics", m), p.scalars(e.Step, m.Time, []scalar{{"eval/loss", e.Loss}}))
}

func (p *reporter) saved(e train.Saved) error {
	p.log.Info().Int("step", e.Step).Str("path", e.Path).Bool("best", e.Best).Msg("checkpoint")
	return p.s.Event("checkpoint", map[string]any{"step": e.Step, "path": filepath.ToSlash(e.Path), "best": e.Best})
}

type scalar struct {
	tag   string
	value float64
}

func (p *reporter) scalars(step int, t time.Time, all []scalar) error {
	for _, v := range all {
		if err := p.events.Scalar(v.tag, int64(step), float32(v.value), t); err != nil {
			return err
		}
	}
	return p.events.Flush()
}

// line prints above the progress bar, which is drawn again at the next step.
func (p *reporter) line(format string, args ...any) {
	erase := ""
	if p.s.ErrTTY {
		erase = "\r\x1b[2K"
	}
	p.s.Infof(erase+format, args...)
}
