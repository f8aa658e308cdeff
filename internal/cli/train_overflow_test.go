package cli

import (
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// Steps that are left out are said once and logged each time; only a scaled run has the figures.
func TestOverflowsAreSaidOnce(t *testing.T) {
	s, out, errOut := ui.Test()
	var log strings.Builder
	p := &reporter{s: s, log: zerolog.New(&log)}
	for step, overflowed := range []bool{true, false, true} {
		if err := p.overflow(train.Step{Step: step + 1, Overflowed: overflowed, LossScale: 65536}); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Count(errOut.String(), "overflowed f16 at a loss scale of 65536") != 1 || !strings.Contains(errOut.String(), "step 1 ") || out.Len() > 0 {
		t.Errorf("said %q, printed %q", errOut, out)
	}
	if strings.Count(log.String(), `"message":"overflow"`) != 2 || !strings.Contains(log.String(), `"step":3`) {
		t.Errorf("logged %s", log.String())
	}
	if all := scaleScalars(runlog.Metrics{LossScale: 8, SkippedSteps: 3}); len(all) != 2 || all[0].value != 8 || all[1].value != 3 {
		t.Errorf("TensorBoard gets %v", all)
	}
	if all := scaleScalars(runlog.Metrics{}); all != nil {
		t.Errorf("without a scale TensorBoard gets %v", all)
	}
}
