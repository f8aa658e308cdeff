package cli

import (
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

// What pflag parses itself is refused in the words of train's settings.
func TestBadNumbersAreSaidPlainly(t *testing.T) {
	for args, want := range map[string]string{
		"logs -n abc":                    `invalid argument "abc" for "-n, --lines" flag: "abc" is not a whole number`,
		"logs -n 99999999999999999999":   `"99999999999999999999" is out of range`,
		"monitor --port 1.5":             `"1.5" is not a whole number`,
		"run --temp abc":                 `"abc" is not a number`,
		"runs --watch=maybe":             `"maybe" is neither true nor false`,
		"prep split x.jsonl --seed -1":   `"-1" is not a whole number from 0`,
		"train --rank abc":               `"abc" is not a whole number`,
		"version --json=perhaps":         `"perhaps" is neither true nor false`,
		"serve --timeout abc -m x.gguf":  `invalid duration "abc"`,
		"test lengths -v=abc -m x x.txt": `"abc" is not a whole number`,
	} {
		code, _, errOut := runMain(t, strings.Fields(args)...)
		if code != ui.ExitUsage || !strings.Contains(errOut, want) || strings.Contains(errOut, "strconv") || !strings.Contains(errOut, "--help' for flags") {
			t.Errorf("%s: exit code %d: %s", args, code, errOut)
		}
	}
}
