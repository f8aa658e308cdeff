package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/embedded"
	"github.com/qlora/qlora/internal/ui"
)

const demoLong = `Demo goes the whole way on a small scale: it takes the model inside this binary
to 4 bits, prepares a repository and sample session logs, fine-tunes adapters,
shows loss and completions before and after, merges, and tests the merged model.
Each step is a command that you could type, and is printed as one.

It fails unless the loss on held-out records falls by at least 10 %.`

// demoFall is the least relative fall of the evaluation loss.
const demoFall = 0.10

type demoOptions struct {
	model, repo, logs, out string
	steps, threads         int
}

func newDemoCmd(s *ui.Streams) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "prepare, train, merge and test with the embedded model",
		Long:    demoLong + exitStatus(ui.ExitInvalid, ui.ExitInterrupted),
		Example: "  qlora demo\n  qlora demo --repo ~/src/app --logs ~/.claude/projects",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *demoOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.model, "model", "m", "", "GGUF `file` to take instead of the embedded model")
	flags.StringVar(&o.repo, "repo", ".", "repository to learn from")
	flags.StringVar(&o.logs, "logs", filepath.Join("data", "staging"), "`folder` of session logs to learn from")
	flags.StringVarP(&o.out, "output", "o", defaultOutput("demo"), "`folder` for everything that the demo makes")
	flags.IntVar(&o.steps, "steps", 240, "training steps")
	flags.IntVarP(&o.threads, "threads", "t", 0, "threads to compute with, 0 for one per core")
}

// demo is a run of the command. Its steps write to out alone, but for the
// metrics and the log of the training.
type demo struct {
	o   demoOptions
	s   *ui.Streams // of the demo
	sub *ui.Streams // of its steps
}

func runDemo(ctx context.Context, o demoOptions, s *ui.Streams) error {
	d := &demo{o: o, s: s, sub: stepStreams(s)}
	if err := d.checkInputs(); err != nil {
		return err
	}
	if err := clearDemo(o.out, s); err != nil {
		return err
	}
	if o.model == "" {
		d.o.model = d.path("base.gguf")
		s.Infof("the embedded model goes to %s\n", d.o.model)
		if err := embedded.Extract(d.o.model); err != nil {
			return err
		}
	}
	for _, args := range d.steps() {
		if err := d.step(ctx, args); err != nil {
			return err
		}
	}
	return d.judge()
}

// stepStreams are the streams of the steps: with --json their data goes to
// standard error, since the demo's own summary is all of its data.
func stepStreams(s *ui.Streams) *ui.Streams {
	sub := &ui.Streams{In: s.In, Out: s.Out, Err: s.Err, InTTY: s.InTTY, OutTTY: s.OutTTY, ErrTTY: s.ErrTTY,
		Color: s.Color, Quiet: s.Quiet, Width: s.Width}
	if s.JSON {
		sub.Out, sub.OutTTY = s.Err, s.ErrTTY
	}
	return sub
}

// checkInputs fails early where the demo is run far from its data.
func (d *demo) checkInputs() error {
	for flag, dir := range map[string]string{"--repo": d.o.repo, "--logs": d.o.logs} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return ui.Fail(ui.ExitInvalid, fmt.Errorf("no folder %s to learn from", dir),
				"run the demo in a clone of the project, or name a folder of your own with "+flag)
		}
	}
	return nil
}

// demoMarker tells a folder of the demo from one of somebody's own run.
const demoMarker = ".demo"

// clearDemo makes an empty out. An earlier demo there is deleted, anything else
// put aside.
func clearDemo(out string, s *ui.Streams) error {
	release, err := lockFolder(out)
	if err != nil {
		return err
	}
	defer release()
	marker := filepath.Join(out, demoMarker)
	switch {
	case exists(marker):
		if err := os.RemoveAll(out); err != nil {
			return fmt.Errorf("delete the earlier demo: %w", err)
		}
	case exists(out):
		aside, err := putFolderAside(out, s)
		if err != nil {
			return err
		}
		s.Infof("put what was there aside: %s\n", aside)
	}
	if err := checkWritable(out); err != nil {
		return ui.Fail(ui.ExitFailure, err, "choose another folder with --output")
	}
	return writeWhole(marker, nil)
}

func (d *demo) path(name string) string { return filepath.Join(d.o.out, name) }

// steps are the commands of the demo, in order. The tests take one thread:
// threads of so small a model spend their time waiting for each other.
func (d *demo) steps() [][]string {
	chat, fim, text := d.path("chat.jsonl"), d.path("fim.jsonl"), d.path("text.jsonl")
	train, eval := d.path("train.jsonl"), d.path("eval.jsonl")
	base, adapter, merged := d.path("base-q4_k_m.gguf"), d.path("adapter.gguf"), d.path("merged.gguf")
	threads := strconv.Itoa(d.o.threads)
	return [][]string{
		{"prep", "logs2sft", "--src", d.o.logs, "--out", chat},
		{"prep", "repo2fim", "--repo", d.o.repo, "--lang", "go", "--max-chars", "1200", "--max-middle", "300", "--per-file", "1", "--out", fim},
		{"prep", "repo2fim", "--repo", d.o.repo, "--lang", "go", "--max-chars", "1200", "--max-middle", "300", "--per-file", "1", "--format", "text", "--out", text},
		{"prep", "split", chat, fim, text, "--name", "demo", "--eval-frac", "0.05", "--out-dir", d.o.out},
		{"quantize", "-m", d.o.model, "-o", base, "--type", "q4_k_m", "--allow-requantize"},
		{"train", "-m", base, "--data", train, "--eval-data", eval, "--name", "demo", "--output", d.o.out, "--ctx-size", "512",
			"--micro-batch-size", "2", "--grad-accum", "2", "--rank", "32", "--alpha", "64", "--learning-rate", "0.003",
			"--max-steps", strconv.Itoa(d.o.steps), "--log-every", "20", "--eval-every", "0", "--save-every", "0", "--threads", threads},
		{"test", "baseline", "-m", base, "--lora", adapter, "--data", eval, "--fim-samples", "20", "--generations", "3", "--predict", "48", "--threads", "1"},
		{"merge", "-m", base, "--lora", adapter, "--output", merged, "--type", "keep"},
		{"test", "baseline", "-m", merged, "--data", eval, "--fim-samples", "20", "--generations", "0", "--threads", "1"},
	}
}

// step runs one command in this process, as its arguments would be typed.
func (d *demo) step(ctx context.Context, args []string) error {
	d.s.Infof("\n$ qlora %s\n", strings.Join(args, " "))
	code := execute(ctx, args, d.sub)
	if code == ui.ExitOK || code == ui.ExitSkipped {
		return nil
	}
	return ui.Fail(code, fmt.Errorf("the demo stopped at 'qlora %s'", strings.Join(args[:2], " ")))
}

// judge reads the summary of the training and holds it to what the demo
// promises.
func (d *demo) judge() error {
	text, err := os.ReadFile(d.path(summaryFile))
	if err != nil {
		return fmt.Errorf("read the result of the demo: %w", err)
	}
	var m trainSummary
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("read the result of the demo from %s: %w", d.path(summaryFile), err)
	}
	if m.EvalLossBefore == nil || m.EvalLoss == nil {
		return fmt.Errorf("%s has no evaluation loss", d.path(summaryFile))
	}
	fall := 1 - *m.EvalLoss / *m.EvalLossBefore
	d.s.Printf("\neval loss %.4f before, %.4f after: %.1f %% lower; the merged model is %s\n",
		*m.EvalLossBefore, *m.EvalLoss, 100*fall, d.path("merged.gguf"))
	if err := d.s.Event("summary", m); err != nil {
		return err
	}
	if fall < demoFall {
		return ui.Fail(ui.ExitFailure, fmt.Errorf("the evaluation loss fell by %.1f %%, less than %.0f %%", 100*fall, 100*demoFall),
			"train longer with --steps")
	}
	d.s.Infof("try it: qlora run -m %s --fim FILE:LINE\n", d.path("merged.gguf"))
	return nil
}
