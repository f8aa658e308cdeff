package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/llama/llamatest"
)

// TestRepo2FIMKnowsTheModel warns where the model that counts tokens cannot be trained on what is written.
func TestRepo2FIMKnowsTheModel(t *testing.T) {
	dir := t.TempDir()
	repo, out := filepath.Join(dir, "repo"), filepath.Join(dir, "out.jsonl")
	if err := os.Mkdir(repo, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repo, "a.go"), []byte("package a\n\n"+strings.Repeat("func f() int { return 1 }\n", 9)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		noFIM  bool
		format string
		warns  bool
	}{{true, "fim", true}, {true, "text", false}, {false, "fim", false}} {
		model := filepath.Join(dir, "model.gguf")
		llamatest.Model(t, model, llamatest.Options{NoFIM: c.noFIM})
		_, errOut := mustRun(t, "prep", "repo2fim", "--repo", repo, "--out", out, "--format", c.format, "-m", model, "-c", "256")
		if got := strings.Contains(errOut, "--format text makes records for it"); got != c.warns {
			t.Errorf("%+v: %s", c, errOut)
		}
	}
}
