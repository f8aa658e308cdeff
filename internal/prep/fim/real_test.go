package fim

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/prep/fim/syntax"
)

// TestRealRepositories holds every record of whole repositories to its file:
// those that QLORA_FIM_REPOS lists, separated as in PATH. See
// benchmarks/prep_fim.sh.
func TestRealRepositories(t *testing.T) {
	repos := filepath.SplitList(os.Getenv("QLORA_FIM_REPOS"))
	if len(repos) == 0 {
		t.Skip("QLORA_FIM_REPOS names no repositories")
	}
	for _, repo := range repos {
		for _, size := range []int{1000, 6000} {
			o := DefaultOptions()
			o.Repos, o.MaxChars, o.MaxMiddle, o.Workers = []string{repo}, size, size/5, 2
			data, report := convert(t, o)
			n := checkRecords(t, data, map[string]string{report.Repos[0].Repo: repo}, o)
			nodes := 0
			for _, kind := range syntax.Kinds {
				nodes += report.Kinds[kind]
			}
			t.Logf("%s: windows of %d: %d records of %d files hold, %d of whole nodes, %d with context",
				repo, size, n, report.Used, nodes, report.Levels[LevelRepo])
			if int64(n) != report.Records || nodes == 0 || report.Levels[LevelRepo] == 0 {
				t.Errorf("%s: %d records of %d, kinds %v, levels %v", repo, n, report.Records, report.Kinds, report.Levels)
			}
		}
	}
}
