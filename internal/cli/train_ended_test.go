package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filesBelow is the content of every file under dirs.
func filesBelow(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				all[path] = string(readBytes(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestResumeOfAFinishedRunChangesNothing(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "4")...)
	before := filesBelow(t, "outputs", "runs", "logs")
	for _, more := range [][]string{{}, {"--max-steps", "3"}, {"--json"}} {
		out, talk := mustRun(t, append([]string{"train", "--resume", "last", "--name", "mine"}, more...)...)
		said := "run mine has finished already: step 4 of 4, all steps done\n"
		if len(more) == 1 { // --json
			said = `"checkpoint":"outputs/mine/checkpoint-4"`
		}
		if !strings.Contains(out, said) || !strings.Contains(talk, "--max-steps or --epochs: qlora train --resume last --name mine") {
			t.Errorf("%v: %s%s", more, out, talk)
		}
		after := filesBelow(t, "outputs", "runs", "logs")
		for path, text := range after {
			if before[path] != text {
				t.Errorf("%v: %s was changed", more, path)
			}
		}
		if len(after) != len(before) {
			t.Errorf("%v: %d files, before %d", more, len(after), len(before))
		}
	}
	// One whose result is not whole is brought to its end.
	if err := os.Remove("outputs/mine/summary.json"); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "train", "--resume", "last", "--name", "mine")
	if m := summaryIn(t, "outputs/mine"); m.Steps != 4 {
		t.Errorf("without a result: %+v", m)
	}
	mustRun(t, "train", "--resume", "last", "--name", "mine", "--max-steps", "5")
	if m := summaryIn(t, "runs/mine"); m.Steps != 5 {
		t.Errorf("with more steps: %+v", m)
	}
}
