package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/embedded"
	"github.com/qlora/qlora/internal/ui"
)

// TestPerfLooksBeforeItWrites: a name that means nothing, or a file that is not
// there, is found before gigabytes of another model are written.
func TestPerfLooksBeforeItWrites(t *testing.T) {
	tinyRun(t)
	for args, want := range map[string]struct {
		code int
		say  string
	}{
		"--models 0.5b,99b":                  {ui.ExitUsage, "99b"},
		"--models 0.5b,none.gguf":            {ui.ExitInvalid, "none.gguf"},
		"--models 0.5b -m base.gguf,no.gguf": {ui.ExitInvalid, "no.gguf"},
		"-m base.gguf,no.gguf":               {ui.ExitInvalid, "no.gguf"},
	} {
		code, out, errOut := call(append([]string{"test", "perf", "--models-dir", "made", "--device", "cpu"}, strings.Fields(args)...)...)
		if code != want.code || !strings.Contains(errOut, want.say) || out != "" {
			t.Errorf("%s: exit code %d, want %d with %q\n%s%s", args, code, want.code, want.say, out, errOut)
		}
		if _, err := os.Stat("made"); err == nil {
			t.Fatalf("%s wrote a model", args)
		}
	}
}

// TestPerfKeepsWhatItMeasured: when a model fails, those before it are printed.
func TestPerfKeepsWhatItMeasured(t *testing.T) {
	tinyRun(t)
	if err := embedded.Extract("large.gguf"); err != nil {
		t.Fatal(err)
	}
	args := strings.Fields("test perf -m base.gguf,large.gguf -p 8 -n 0 -r 1 -t 1 --device cpu --ram-budget 258MiB")
	code, out, errOut := call(args...)
	if code != ui.ExitDevice || !strings.Contains(out, "| base.gguf |") || strings.Contains(out, "large.gguf") || !strings.Contains(errOut, "hint:") {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
	code, out, _ = call(append(args, "--json")...)
	if code != ui.ExitDevice || strings.Count(out, `"result"`) != 1 || !strings.HasPrefix(lastLine(out), `{"message_type":"error"`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
