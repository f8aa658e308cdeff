package cli_test

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestDeviceScripts runs testdata/device/*.txtar on a GPU, with the CUDA library that QLORA_CUDA_LIBRARY names and the
// files of TestInferenceScripts. Beside testscript's own commands there is:
//
//	near KEY TOLERANCE FILE FILE   require that two summaries agree in the number at KEY, such as base.loss
func TestDeviceScripts(t *testing.T) {
	library := os.Getenv("QLORA_CUDA_LIBRARY")
	if library == "" {
		t.Skip("no CUDA library: set QLORA_CUDA_LIBRARY to test commands on a device")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/device",
		Setup: func(env *testscript.Env) error {
			env.Setenv("QLORA_LIBRARY_PATH", library)
			for _, name := range []string{"LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"} {
				if value, ok := os.LookupEnv(name); ok {
					env.Setenv(name, value)
				}
			}
			return writeModels(t, env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": runForCode, "near": checkNear},
	})
}

func checkNear(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: near KEY TOLERANCE FILE FILE")
	}
	tolerance, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	a, b := summaryNumber(ts, args[2], args[0]), summaryNumber(ts, args[3], args[0])
	if !(math.Abs(a-b) <= tolerance) {
		ts.Fatalf("%s is %g and %g, further apart than %g", args[0], a, b, tolerance)
	}
}

// summaryNumber reads the number at key in the last JSON line of a file.
func summaryNumber(ts *testscript.TestScript, file, key string) float64 {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(file)), "\n")
	var value any
	ts.Check(json.Unmarshal([]byte(lines[len(lines)-1]), &value))
	for _, name := range strings.Split(key, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	number, ok := value.(float64)
	if !ok {
		ts.Fatalf("%s: %s is %v, no number", file, key, value)
	}
	return number
}
