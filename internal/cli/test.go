package cli

import (
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ui"
)

const testLong = `Test measures models through libllama, so that the figures are those that users
of llama.cpp will see: how well a model knows data, and how fast it runs.`

const testExample = `  qlora test baseline -m base.gguf --lora outputs/mine/adapter.gguf --data data/eval.jsonl
  qlora test perf -m base.gguf,merged.gguf`

func newTestCmd(s *ui.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "test <command>",
		Short:   "measure the quality and the speed of models",
		Long:    testLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitDevice, ui.ExitInterrupted),
		Example: testExample,
	}
	cmd.AddCommand(newTestBaselineCmd(s), newTestCompareCmd(s), newTestPerfCmd(s), newTestLengthsCmd(s))
	return cmd
}
