package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/ui"
)

// checkState is the outcome of one check of doctor.
type checkState string

const (
	checkOK      checkState = "ok"
	checkMissing checkState = "missing" // works without, less well
	checkFailed  checkState = "failed"  // something will not work
)

// check is one thing that doctor looked at, and what to do about it.
type check struct {
	Name   string     `json:"name"`
	State  checkState `json:"state"`
	Detail string     `json:"detail"`
	Advice string     `json:"advice,omitempty"`
}

type doctorSummary struct {
	Checks []check `json:"checks"`
	Failed int     `json:"failed"`
}

var errDoctor = errors.New("this machine needs attention")

func newDoctorCmd(s *ui.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "check what this machine offers and what is missing",
		Long: `Doctor checks the processor, what the binary was compiled for, memory, the
NVIDIA driver, the CUDA library and the GPUs that it can use, the folders that
runs are written to, and the tools that some make targets use. Each thing that
is missing comes with what to do about it. It exits 1 when something would keep
qlora from working here.` + exitStatus(ui.ExitOK),
		Example: "  qlora doctor\n  qlora doctor --json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return runDoctor(s) },
	}
}

func runDoctor(s *ui.Streams) error {
	ggml.SetLog(func(int, string) {}) // what CUDA does not like is a check here
	checks := []check{checkCPU(), checkBuild(), checkMemory(memoryFiles), checkDriver()}
	checks = append(checks, checkCUDA(readMachine())...)
	for _, dir := range workFolders {
		checks = append(checks, checkFolder(dir))
	}
	for _, tool := range optionalTools {
		checks = append(checks, checkTool(tool))
	}
	summary := doctorSummary{Checks: checks}
	for _, c := range checks {
		printCheck(s, c)
		if c.State == checkFailed {
			summary.Failed++
		}
	}
	if err := s.Event("summary", summary); err != nil {
		return err
	}
	if summary.Failed > 0 {
		return fmt.Errorf("%w: %d checks failed", errDoctor, summary.Failed)
	}
	return nil
}

func printCheck(s *ui.Streams, c check) {
	s.Printf("%-8s %-13s %s\n", c.State, c.Name, c.Detail)
	if c.Advice != "" {
		s.Printf("%-8s %-13s %s\n", "", "", c.Advice)
	}
}
