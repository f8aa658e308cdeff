package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/qlora/qlora/internal/cli"
	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/ui"
)

// TestMain lets scripts run the real main as a command named qlora, in a
// process of its own, and stand-ins for the commands of clusters.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"qlora":   func() { os.Exit(cli.Main(os.Args[1:], ui.System())) },
		"sbatch":  fakeSbatch,
		"kubectl": fakeKubectl,
		"repeat":  repeatFile,
		"pack":    packFile,
		"parts":   runParts,
	})
}

// TestScripts runs testdata/script/*.txtar. Beside testscript's own commands
// there are:
//
//	code N qlora ARGS...   run, and require exit code N
//	jsonlines TYPE         require that stdout of the last command is JSON
//	                       lines with a message_type, the last one TYPE
//	hub                    start a model hub and set HF_ENDPOINT; see startHub
//
// and the condition driver, which holds where there is an NVIDIA driver.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error { // for scripts that call make
			repo, err := filepath.Abs("../..")
			env.Setenv("REPO", repo)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":      runForCode,
			"jsonlines": checkJSONLines,
			"hub":       startHub(t),
		},
		Condition: func(name string) (bool, error) {
			if name != "driver" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return driverThere()
		},
	})
}

func driverThere() (bool, error) {
	n, err := gpu.Open()
	if errors.Is(err, gpu.ErrNoDriver) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, n.Close()
}

func runForCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("code %s: %v", args[0], err)
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func checkJSONLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jsonlines LAST_TYPE")
	}
	var last string
	for _, line := range bytes.Split(bytes.TrimSpace([]byte(ts.ReadFile("stdout"))), []byte("\n")) {
		var event struct {
			Type string `json:"message_type"`
		}
		if err := json.Unmarshal(line, &event); err != nil || event.Type == "" {
			ts.Fatalf("stdout has a line that is no event: %q (%v)", line, err)
		}
		last = event.Type
	}
	if last != args[0] {
		ts.Fatalf("the last event is %q, want %q", last, args[0])
	}
}
