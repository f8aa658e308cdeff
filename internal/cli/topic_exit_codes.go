package cli

import (
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/ui"
)

// exitAdvice says, for each code, when it comes and what a script may do.
var exitAdvice = map[int]string{
	ui.ExitOK:          "Nothing to do. A machine without a GPU is no failure of gpu, a file that is there already none of pull.",
	ui.ExitFailure:     "No better code fits: the disk is full, the network is gone, a check of doctor failed. The error says what happened.",
	ui.ExitUsage:       "A flag, an argument, a setting or a variable is wrong, what would be replaced is there already, or the hub wants a token. Nothing was started; the same call fails again.",
	ui.ExitSkipped:     "The result is there, without the records or files that could not be read; the summary counts them.",
	ui.ExitInvalid:     "Repair or replace the file that the error names. 'qlora inspect' looks into GGUF files, 'qlora prep show' into data.",
	ui.ExitDevice:      "Take a smaller batch or context, a larger --vram-budget, or another --device. 'qlora plan' says what fits, 'qlora doctor' what is missing.",
	ui.ExitDiverged:    "The loss or the gradient is no number any more. The last good checkpoint is kept: lower the learning rate.",
	ui.ExitInterrupted: "SIGINT, SIGTERM or, as a terminal closed, SIGHUP came. 'qlora train --resume last' goes on, and so does the same 'qlora pull'.",
}

// exitCodesText is the topic exit-codes.
func exitCodesText() string {
	var b strings.Builder
	b.WriteString(`Every command ends with one of these codes. Their meanings never change, so that
a script can tell what to do without reading the error. With --json the last
line is of type "error" then, and holds the code as exit_code.

`)
	for _, m := range exitMeanings {
		fmt.Fprintf(&b, "  %-3d  %s\n", m.code, m.text)
		b.WriteString(wrap("       ", exitAdvice[m.code]))
	}
	b.WriteString(`
A process that another signal ends has the shell's code for it: 137 when the
kernel or a person killed it. What it wrote until then is whole or not there,
and train --resume and pull go on from it.
`)
	return b.String()
}
