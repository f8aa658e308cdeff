package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/serve/batch"
	"github.com/qlora/qlora/internal/serve/child"
	"github.com/qlora/qlora/internal/serve/wire"
	"github.com/qlora/qlora/internal/ui"
)

// serveEngineOptions are the flags of serve that its engine needs too.
type serveEngineOptions struct {
	inferenceOptions
	alias    string
	parallel int
	contexts int
}

// serveEngineName is the hidden command that computes for serve.
const serveEngineName = "serve-engine"

func newServeEngineCmd(s *ui.Streams) *cobra.Command {
	var o serveEngineOptions
	cmd := &cobra.Command{
		Use:     serveEngineName + " -m model.gguf [flags]",
		Short:   "compute for qlora serve, which starts this command",
		Long:    "Serve-engine computes for qlora serve, over a connection that it inherits." + exitStatus(ui.ExitInvalid, ui.ExitDevice),
		Example: "  qlora serve -m model.gguf",
		Args:    cobra.NoArgs,
		Hidden:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *serveEngineOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	o.inferenceOptions.addFlags(flags)
	lora := flags.Lookup("lora")
	lora.Usage = "LoRA adapters to offer, each NAME=FILE, FILE or either with :SCALE at the end, or a run's folder in place of FILE; may be repeated"
	o.lighterCache(flags)
	flags.Lookup("ctx-size").Usage = fmt.Sprintf("tokens of one request, prompt and answer (0: what the model was trained with, at most %d)", defaultContext)
	flags.StringVarP(&o.alias, "alias", "a", "", "name of the base model in requests (default: its file's name)")
	flags.IntVar(&o.parallel, "parallel", 4, "requests computed at the same time (-np); each has a cache of -c tokens")
	flags.IntVar(&o.contexts, "contexts", 1, "contexts that compute side by side, each with -t threads and its share of the requests; for small models on the CPU, or 2 on a GPU")
}

// lighterCache makes llama.cpp's own choices the default: with many sequences
// the cache is most of the memory, and most of what a decode reads.
func (o *serveEngineOptions) lighterCache(flags *pflag.FlagSet) {
	o.flash.FlashAttn, o.typeK, o.typeV = llama.FlashAuto, "f16", "f16"
	for _, name := range []string{"flash-attn", "cache-type-k", "cache-type-v"} {
		f := flags.Lookup(name)
		f.DefValue = f.Value.String()
	}
	threads := flags.Lookup("threads")
	threads.Usage = "CPU threads (0: all but one, which answers requests; threads that wait for each other must not wait for that)"
}

// computing is how many threads compute: ggml's wait for each other without
// sleeping, so one that shares its processor with the HTTP side stops them all.
func (o *serveEngineOptions) computing() int {
	if o.threads > 0 {
		return o.threads
	}
	return max(1, (runtime.NumCPU()-1)/o.contexts)
}

func (o *serveEngineOptions) check() error {
	switch {
	case o.model == "":
		return errors.New("no model given: name a GGUF file with -m")
	case o.ctx < 0:
		return fmt.Errorf("--ctx-size %d is negative", o.ctx)
	case o.parallel < 1 || o.parallel > 256:
		return fmt.Errorf("--parallel %d is not between 1 and 256", o.parallel)
	case o.contexts < 1 || o.contexts > o.parallel:
		return fmt.Errorf("--contexts %d is not between 1 and --parallel %d", o.contexts, o.parallel)
	case o.typeV == "q8_0" && o.flash.FlashAttn == llama.FlashOff:
		return errors.New("--cache-type-v q8_0 needs --flash-attn")
	}
	return nil
}

// namedLoRA is an adapter and what requests call it.
type namedLoRA struct {
	name string
	loraSpec
}

// named reads the --lora flags.
func (o *serveEngineOptions) named() ([]namedLoRA, error) {
	var out []namedLoRA
	taken := []string{o.baseName()}
	for _, arg := range o.lora {
		name, file, found := strings.Cut(arg, "=")
		if !found || strings.ContainsRune(name, filepath.Separator) {
			name, file = "", arg
		}
		specs, err := parseLoRA([]string{file})
		if err != nil {
			return nil, err
		}
		if name == "" {
			name = adapterName(specs[0].asked)
		}
		if slices.Contains(taken, name) {
			return nil, ui.Fail(ui.ExitUsage, fmt.Errorf("two models are called %q", name), "name them apart with --lora NAME=FILE and --alias")
		}
		taken = append(taken, name)
		out = append(out, namedLoRA{name, specs[0]})
	}
	return out, nil
}

// adapterName is the run's name for outputs/<run> and the adapters that training
// leaves there, else the file's.
func adapterName(path string) string {
	if isFolder(path) {
		return filepath.Base(filepath.Clean(path))
	}
	if name := filepath.Base(path); name == "adapter.gguf" || name == "adapter-best.gguf" {
		if dir := filepath.Base(filepath.Dir(path)); dir != "." && dir != string(filepath.Separator) {
			return dir
		}
	}
	return strings.TrimSuffix(filepath.Base(path), ".gguf")
}

func (o *serveEngineOptions) baseName() string {
	if o.alias != "" {
		return o.alias
	}
	return strings.TrimSuffix(filepath.Base(o.model), ".gguf")
}

// checkFiles looks into model and adapters before an engine is started on them.
func (o *serveEngineOptions) checkFiles(s *ui.Streams) error {
	named, err := o.named()
	if err != nil {
		return err
	}
	var specs []loraSpec
	for _, n := range named {
		n.tell(s)
		specs = append(specs, n.loraSpec)
	}
	return useLoRA(checkModel(o.model, specs), o.model)
}

// engineArgs are the arguments of the command that computes with o.
func (o *serveEngineOptions) engineArgs(level zerolog.Level) ([]string, error) {
	args := []string{serveEngineName, "--model", o.model, "--alias", o.baseName(),
		"--ctx-size", strconv.Itoa(o.ctx), "--parallel", strconv.Itoa(o.parallel), "--contexts", strconv.Itoa(o.contexts), "--threads", strconv.Itoa(o.computing()),
		"--device", o.device, "--n-gpu-layers", strconv.Itoa(o.gpuLayers),
		"--cache-type-k", o.typeK, "--cache-type-v", o.typeV, "--flash-attn=" + o.flash.String()}
	named, err := o.named()
	if err != nil {
		return nil, err
	}
	for _, n := range named { // by file: another engine must compute with the same, whatever the folder holds by then
		adapter := fmt.Sprintf("%s:%g", n.path, n.scale)
		if n.name != adapterName(n.path) { // that of a run may hold a "=" itself
			adapter = n.name + "=" + adapter
		}
		args = append(args, "--lora", csvField(adapter))
	}
	switch {
	case level <= zerolog.DebugLevel:
		args = append(args, "-vv")
	case level == zerolog.InfoLevel:
		args = append(args, "-v")
	}
	return args, nil
}

// csvField quotes a value of a flag that takes lists separated by commas.
func csvField(value string) string {
	if !strings.ContainsAny(value, "\",\n") {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}

// spawnEngine starts this program again, to compute.
func spawnEngine(args []string) (*child.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return child.Spawn(self, args)
}

// run computes for the server at the other end of the inherited connection.
func (o *serveEngineOptions) run(ctx context.Context, s *ui.Streams) error {
	// signals are the server's business: what is under way ends with the connection
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	conn, err := child.Inherited()
	if err != nil {
		return ui.Fail(ui.ExitUsage, err, "this command is started by qlora serve; run that instead")
	}
	var sink wire.Sink
	scheduler, closeAll, err := o.open(ctx, &sink, s)
	if err != nil {
		told := wire.Refuse(conn, wire.LoadError{Message: err.Error(), Code: exitCode(err), Hints: ui.Hints(err)})
		if told = errors.Join(told, conn.Close()); told != nil {
			return errors.Join(err, told)
		}
		return &reported{code: exitCode(err)} // the server says it
	}
	return errors.Join(wire.Serve(ctx, conn, &sink, scheduler), closeAll())
}

// open loads what the flags name.
func (o *serveEngineOptions) open(ctx context.Context, sink *wire.Sink, s *ui.Streams) (*batch.Group, func() error, error) {
	named, err := o.named()
	if err != nil {
		return nil, nil, err
	}
	base := o.inferenceOptions
	base.lora = nil
	sess, err := base.open(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	sess.warnContext(s)
	sizes := o.contextOptions(sess.model)
	options := batch.Options{Name: o.baseName(), Ctx: sizes.Ctx, Slots: o.parallel, Context: sizes}
	for _, n := range named {
		adapter, err := sess.model.LoadAdapter(n.path)
		if err != nil {
			return nil, nil, errors.Join(modelError(err), sess.close())
		}
		apply := llama.AdapterScale{Adapter: adapter, Scale: n.scale}
		sess.adapters = append(sess.adapters, apply)
		options.Adapters = append(options.Adapters, batch.Adapter{Name: n.name, Apply: []llama.AdapterScale{apply}})
	}
	scheduler, err := batch.NewGroup(sess.model, options, o.contexts, sink.Emit)
	if err != nil {
		return nil, nil, errors.Join(modelError(err), sess.close())
	}
	return scheduler, func() error { return errors.Join(scheduler.Close(), sess.close()) }, nil
}
