package monitor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/runlog"
)

// TestReader reads a folder twice: with a torn line, then with its end.
func TestReader(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "one")
	check(t, os.Mkdir(dir, 0o755))
	path := filepath.Join(dir, runlog.MetricsFile)
	write(t, path, "{\"step\":1,\"loss\":2,\"eval_loss\":1}\n\nnot a report\n{\"step\":2,\"lo")
	reader := NewReader(root)
	all, err := reader.Read(t.Context())
	check(t, err)
	if len(all) != 1 || *all[0].Step != 1 || all[0].State != Unknown || all[0].BadLines != 1 || !strings.Contains(all[0].Problem, "metrics.jsonl:3: not JSON") {
		t.Errorf("got %+v", all)
	}
	appendTo(t, path, "ss\":1.5}\n")
	all, err = reader.Read(t.Context())
	check(t, err)
	if *all[0].Step != 2 || *all[0].Loss != 1.5 || *all[0].BestEvalLoss != 1 || all[0].BadLines != 1 {
		t.Errorf("got %+v", all)
	}
}

// TestReaderOfATornLine: a last line without an end is whole in a run that goes
// on, and damage in one that has ended.
func TestReaderOfATornLine(t *testing.T) {
	root := t.TempDir()
	one := makeRun(t, root, "one")
	check(t, one.Write(runlog.Metrics{Step: 1}))
	appendTo(t, filepath.Join(root, "one", runlog.MetricsFile), "{\"step\":2,\"lo")
	reader := NewReader(root)
	all, err := reader.Read(t.Context())
	check(t, err)
	if all[0].BadLines != 0 || all[0].Problem != "" {
		t.Errorf("while it runs: %+v", all)
	}
	check(t, one.Close(runlog.Interrupted, nil))
	all, err = reader.Read(t.Context())
	check(t, err)
	if all[0].BadLines != 1 || !strings.Contains(all[0].Problem, "metrics.jsonl:2: cut off") || *all[0].Step != 1 {
		t.Errorf("after it ended: %+v", all)
	}
}

func TestReaderOfABrokenStatus(t *testing.T) {
	root := t.TempDir()
	check(t, makeRun(t, root, "one").Write(runlog.Metrics{Step: 1}))
	write(t, filepath.Join(root, "one", runlog.StatusFile), "{")
	reader := NewReader(root)
	for range 2 { // what is wrong stays wrong
		all, err := reader.Read(t.Context())
		check(t, err)
		if len(all) != 1 || !strings.Contains(all[0].Problem, runlog.StatusFile) || *all[0].Step != 1 {
			t.Errorf("got %+v", all)
		}
	}
}

// TestPreview looks at a large file before it is read through.
func TestPreview(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "one")
	check(t, os.Mkdir(dir, 0o755))
	var text strings.Builder
	steps := 0
	for text.Len() <= previewFrom {
		steps++
		fmt.Fprintf(&text, `{"step":%d,"loss":%g,"padding":%q}`+"\n", steps, 1/float64(steps), strings.Repeat("p", 100+steps%50))
	}
	write(t, filepath.Join(dir, runlog.MetricsFile), text.String()+`{"step":`)
	r := newRun(dir)
	if !r.wantsPreview() {
		t.Fatal("the file is large")
	}
	check(t, r.readPreview())
	s := r.pageSummary()
	if !s.Loading || s.Rows < previewLines*9/10 || s.Rows > previewLines+1 || *s.Step != float64(steps) {
		t.Errorf("got %+v, want about %d rows up to step %d", s, previewLines, steps)
	}
	if r.wantsPreview() {
		t.Error("one preview is enough")
	}
	check(t, r.refreshMetrics())
	if s := r.pageSummary(); s.Loading || s.Rows != steps || s.BadLines != 0 {
		t.Errorf("got %+v, want %d rows", s, steps)
	}
}
