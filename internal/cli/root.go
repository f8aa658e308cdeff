package cli

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/ui"
)

const rootLong = `qlora takes chat logs and repositories to a fine-tuned local model, on a GGUF
file you already have. One binary: it prepares data, trains low-rank adapters
over a quantised base, merges them and measures the result.`

const rootExample = `  # see a small model get better at this repository, in minutes
  qlora demo

  # from chat data to a merged model
  qlora train -m base.gguf --data data/train.jsonl --name mine
  qlora merge -m base.gguf --lora outputs/mine/adapter.gguf -o mine.gguf
  qlora run -m mine.gguf "hello"`

// newRootCmd builds the whole tree. Commands are listed here, in the order in
// which a person meets them, and nowhere else.
func newRootCmd(s *ui.Streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "qlora <command>",
		Short:         "fine-tune GGUF models with low-rank adapters",
		Long:          rootLong + exitStatus(),
		Example:       rootExample,
		Version:       versionString(),
		SilenceErrors: true,
		SilenceUsage:  true,

		DisableSuggestions: true, // nearCommands orders its own
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetGlobalNormalizationFunc(dashes)
	setVersionFlag(root)
	setHelp(root)
	root.SetHelpCommand(newHelpCmd(s))
	addGlobalFlags(root, s)
	root.AddCommand(
		newDemoCmd(s),
		newPullCmd(s),
		newPrepCmd(s),
		newInitCmd(s),
		newPlanCmd(s),
		newTrainCmd(s),
		newMergeCmd(s),
		newExportCmd(s),
		newImportCmd(s),
		newRunCmd(s),
		newServeCmd(s),
		newServeEngineCmd(s),
		newQuantizeCmd(s),
		newTestCmd(s),
		newInspectCmd(s),
		newMonitorCmd(s),
		newRunsCmd(s),
		newLogsCmd(s),
		newGPUCmd(s),
		newDoctorCmd(s),
		newCompletionCmd(s),
		newDocsCmd(s),
		newVersionCmd(s),
	)
	root.InitDefaultHelpCmd()
	addCompletions(root)
	return root
}

func addGlobalFlags(root *cobra.Command, s *ui.Streams) {
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.BoolVar(&s.JSON, "json", false, "print JSON lines on standard output (see docs/scripting.md)")
	flags.BoolVarP(&s.Quiet, "quiet", "q", false, "print results, warnings and errors only")
	flags.Bool("no-color", false, "never colour output (also: NO_COLOR)")
	flags.CountP("verbose", "v", "log more to standard error (-v info, -vv debug)")
}

// applyGlobals puts the persistent flags into effect and returns the command's
// context, which carries the logger: zerolog.Ctx(ctx).
func applyGlobals(cmd *cobra.Command, s *ui.Streams) (context.Context, error) {
	noColor, err := cmd.Flags().GetBool("no-color")
	if err != nil {
		return nil, fmt.Errorf("read --no-color: %w", err)
	}
	verbose, err := cmd.Flags().GetCount("verbose")
	if err != nil {
		return nil, fmt.Errorf("read --verbose: %w", err)
	}
	if err := config.LoadDotEnv(".env"); err != nil {
		return nil, ui.Fail(ui.ExitUsage, err, "write one KEY=value per line, quotes around values with spaces")
	}
	s.Color = s.Color && !noColor
	return newLogger(s, verbose).WithContext(cmd.Context()), nil
}

// newLogger writes warnings and worse to standard error in readable form;
// verbose 1 adds info, 2 and more add debug.
func newLogger(s *ui.Streams, verbose int) zerolog.Logger {
	levels := []zerolog.Level{zerolog.WarnLevel, zerolog.InfoLevel, zerolog.DebugLevel}
	level := levels[min(verbose, len(levels)-1)]
	console := zerolog.ConsoleWriter{Out: s.Err, NoColor: !s.Color, TimeFormat: "15:04:05"}
	return zerolog.New(console).Level(level).With().Timestamp().Logger()
}
