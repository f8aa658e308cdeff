package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/ui"
)

// trainOptions is one call of train: settings given as flags, and what is not
// a setting of the run itself.
type trainOptions struct {
	settings []config.Setting
	config   string
	resume   string
	force    bool
	dryRun   bool
	devices  string      // of the ranks on this machine, as given
	device   string      // of this process, empty where none was named
	group    *dist.Group // the ranks that train together, nil for one alone
}

func (o *trainOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.config, "config", "", "YAML `file` of settings; flags win over it")
	addSettingFlags(flags, &o.settings)
	flags.StringVar(&o.resume, "resume", "", "continue from a `checkpoint`: last, best, or the folder of one or of a run")
	flags.BoolVar(&o.force, "force", false, "put an existing run of that name aside, as NAME.1, and start anew")
	flags.BoolVar(&o.dryRun, "dry-run", false, "report on the data and the plan, and stop before training")
	o.addDeviceFlags(flags)
}

const trainLong = `Train fine-tunes a GGUF model on JSONL data, plain or packed with gzip or zstd.
By default it trains low-rank adapters over the model as it is, quantised or
not, and writes them to outputs/NAME/adapter.gguf, which llama.cpp loads and
'qlora merge' merges.

Settings come from the defaults, the file given with --config, environment
variables such as QLORA_LEARNING_RATE, and flags, the later ones winning. The
resolved settings are written to outputs/NAME/config.yaml.

It trains on a GPU when 'make cuda' has built the library for it and there is
one, else on the CPU; --device chooses. CUDA_VISIBLE_DEVICES hides GPUs, and
cuda:0 is the first that it leaves. Activations are kept in --precision: bf16
on GPUs that compute it, f16 on older ones, f32 on the CPU.

Before it takes any GPU memory, train plans all of it so as to stay within
--vram-budget. It keeps every activation if that fits; else it recomputes them
block by block, then leaves as few layers as need be in host memory, from where
they pass through the GPU, then computes fewer rows at a time. 'qlora plan' shows
the plan without training.

Batch sizes count rows of --ctx-size tokens, not tokens. Interrupted once
(Ctrl-C, or a terminal that closes), train finishes its step, saves and exits
with 130; --resume last goes on from there, to the same result as a run that was
never stopped. Started by nohup, it outlives its terminal. Of a run that has
finished it changes nothing, unless --max-steps or --epochs is higher now.

With --devices, or started by torchrun, mpirun or Slurm, several processes share
the micro-batches of each step. All settings, --grad-accum among them, speak of
the whole step, so that the run is the same on one device and on several.`

func newTrainCmd(s *ui.Streams) *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   "train -m model.gguf -d data.jsonl [flags]",
		Short: "fine-tune a GGUF model on JSONL data",
		Long:  trainLong + exitStatus(),
		Example: `  # adapters for a chat model, evaluated as it goes
  qlora train -m base.gguf -d data/train.jsonl --eval-data data/eval.jsonl --name mine

  # what would be trained, without training
  qlora train -m base.gguf -d data/train.jsonl --dry-run

  # two data sets, a third of the second
  qlora train -m base.gguf -d chats.jsonl -d code.jsonl:0.33 --max-steps 500 -lr 1e-4

  # on the second GPU, in full precision
  qlora train -m base.gguf -d data/train.jsonl --device cuda:1 --precision f32

  # in 11 GiB of the GPU
  qlora train -m base.gguf -d data/train.jsonl --vram-budget 11GiB

  # on two GPUs
  qlora train -m base.gguf -d data/train.jsonl --devices 0,1

  # go on after an interruption
  qlora train --resume last --name mine

  # go on with the newest run, whichever it is
  qlora train --resume last`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return trainCommand(cmd, o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// runTrain is the command. The summary is nil unless training came to its end.
func runTrain(ctx context.Context, o trainOptions, s *ui.Streams) (*trainSummary, error) {
	if err := o.findRun(s); err != nil {
		return nil, err
	}
	now, err := o.startTime()
	if err != nil {
		return nil, explainRanks(err, runFolders{})
	}
	r, err := o.resolve(now)
	if err != nil {
		return nil, ui.Fail(ui.ExitUsage, err, "see 'qlora train --help' for the settings")
	}
	if err := checkRanks(r, o.group.Size()); err != nil {
		return nil, err
	}
	if err := checkInputs(r); err != nil {
		return nil, err
	}
	logLlama(ctx)
	device, err := o.openDevice(&r, s)
	if err != nil {
		return nil, err
	}
	var held *claim
	if !o.dryRun && o.group.Leads() {
		if held, err = o.claim(r); err != nil {
			return nil, err
		}
		defer held.release()
	}
	job, err := openJob(ctx, r, device, o.group, o.resume != "", s)
	if errors.Is(err, context.Canceled) {
		return nil, ui.Fail(ui.ExitInterrupted, errors.New("interrupted before training began"))
	}
	if err != nil {
		return nil, explainRanks(err, foldersOf(r))
	}
	defer job.Close()
	job.claim = held
	if err := job.describe(o.dryRun); err != nil {
		return nil, err
	}
	if o.dryRun {
		return nil, job.dryRun()
	}
	if err := job.openEngine(); err != nil {
		return nil, explainRanks(err, job.folders)
	}
	summary, err := job.train(ctx, o)
	if err != nil {
		return nil, explainTraining(err, job.folders)
	}
	return summary, job.skipped()
}

// resolve lays the sources of the settings over each other and checks them.
func (o trainOptions) resolve(now time.Time) (config.Run, error) {
	file := o.config
	if file == "" && o.resume != "" {
		file = o.ownConfig()
	}
	r, err := config.ResolveRun(file, config.OSEnv, o.settings)
	if err != nil {
		return r, err
	}
	o.nameRun(&r, now)
	if o.resume != "" {
		keepRows(&r)
	}
	if r.TemplateDate == "" {
		r.TemplateDate = now.Format(time.DateOnly)
	}
	if err := r.Check(); err != nil {
		return r, err
	}
	if err := errors.Join(checkData(r), loopOptions(r).Check()); err != nil {
		return r, err
	}
	if r.Method == "qlora" {
		return r, loraConfig(r).Check()
	}
	return r, nil
}

// ownConfig is the file of resolved settings of the run to be resumed, empty
// when there is none.
func (o trainOptions) ownConfig() string {
	flags, err := config.ResolveRun("", config.OSEnv, o.settings)
	if err != nil {
		return "" // said again, and reported, when all sources are resolved
	}
	o.nameRun(&flags, time.Time{})
	path := filepath.Join(flags.Output, configFile)
	if !exists(path) {
		return ""
	}
	return path
}

// nameRun fills in the name and the folder of a run from each other, from the
// checkpoint to be resumed, or from the model and the time.
func (o trainOptions) nameRun(r *config.Run, now time.Time) {
	if r.Output == "" && o.resume != "" && o.resume != "last" && o.resume != "best" {
		r.Output = filepath.Dir(filepath.Clean(o.resume))
	}
	if r.Name == "" && r.Output != "" {
		r.Name = filepath.Base(r.Output)
	}
	if r.Name == "" {
		model := strings.TrimSuffix(filepath.Base(r.Model), ".gguf")
		r.Name = fmt.Sprintf("%s-%s", cleanName(model), now.Format("20060102-150405"))
	}
	if r.Output == "" {
		r.Output = defaultOutput(r.Name)
	}
}

func defaultOutput(name string) string { return filepath.Join(outputsDir, name) }

// cleanName replaces what a run's name may not hold.
func cleanName(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c) {
			return c
		}
		return '-'
	}, strings.TrimLeft(text, ".-"))
}
