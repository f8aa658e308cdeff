package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/ui"
)

// A run that was put aside is a run of its own: its records name its own files,
// and it is resumed under its own name.
func TestPutAsideKeepsItsRecords(t *testing.T) {
	tinyRun(t)
	for _, where := range [][2]string{{"mine", "outputs/mine"}, {"other", "elsewhere/out"}} {
		name, output := where[0], where[1]
		args := tinyArgs("--name", name, "-o", output, "--max-steps", "4")
		mustRun(t, args...)
		mustRun(t, append(args, "--force", "--max-steps", "2")...)
		for _, dir := range []string{output, filepath.Join("runs", name)} {
			m := summaryIn(t, dir+".1")
			if m.Run != name+".1" || m.Adapter != output+".1/adapter.gguf" || m.BestAdapter != output+".1/adapter-best.gguf" || m.Checkpoint != output+".1/checkpoint-4" || m.Steps != 4 {
				t.Errorf("%s.1 says %+v", dir, m)
			}
			if m = summaryIn(t, dir); m.Run != name || m.Adapter != output+"/adapter.gguf" || m.Steps != 2 {
				t.Errorf("%s says %+v", dir, m)
			}
		}
		new := readBytes(t, output+"/summary.json")
		_, talk := mustRun(t, "train", "--resume", output+".1", "--max-steps", "5")
		if !strings.Contains(talk, "continuing from "+output+".1/checkpoint-4") || summaryIn(t, filepath.Join("runs", name+".1")).Steps != 5 {
			t.Errorf("the run put aside is resumed elsewhere: %s", talk)
		}
		if !bytes.Equal(new, readBytes(t, filepath.Join("runs", name, "summary.json"))) {
			t.Error("resuming the run put aside changed the records of the new one")
		}
	}
}

// Both folders get the same number, and a run whose output was deleted has no
// adapter: that of its name is another's.
func TestPutAsideOfARunWithoutOutput(t *testing.T) {
	tinyRun(t)
	args := tinyArgs("--name", "mine", "--max-steps", "2")
	mustRun(t, args...)
	if err := os.Rename("outputs/mine", "outputs/mine.1"); err != nil {
		t.Fatal(err)
	}
	_, talk := mustRun(t, args...)
	if !strings.Contains(talk, "put the records of an earlier run aside: runs/mine.2\n") {
		t.Errorf("it is not said: %s", talk)
	}
	if r, err := settingsIn("runs/mine.2"); err != nil || r.Name != "mine.2" || r.Output != "outputs/mine.2" {
		t.Errorf("%v: its settings name %s in %s", err, r.Name, r.Output)
	}
	if m := summaryIn(t, "runs/mine.2"); m.Adapter != "" || m.BestAdapter != "" || m.Checkpoint != "" || m.Run != "mine.2" {
		t.Errorf("it says %+v", m)
	}
	if m := summaryIn(t, "outputs/mine.1"); m.Run != "mine" {
		t.Errorf("a folder of nobody's was changed: %+v", m)
	}
}

// A name that is used again for another folder takes the records of the first
// run, not its output.
func TestPutAsideOfTheRecordsOfARunElsewhere(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "2")...)
	mustRun(t, tinyArgs("--name", "mine", "-o", "elsewhere", "--max-steps", "1")...)
	if m := summaryIn(t, "runs/mine.1"); m.Run != "mine.1" || m.Adapter != "outputs/mine/adapter.gguf" {
		t.Errorf("it says %+v", m)
	}
	if r, err := settingsIn("runs/mine.1"); err != nil || r.Name != "mine.1" || r.Output != "outputs/mine" {
		t.Errorf("%v: its settings name %s in %s", err, r.Name, r.Output)
	}
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "3", "--force")...)
	if summaryIn(t, "outputs/mine.2").Steps != 2 || summaryIn(t, "elsewhere").Run != "mine" {
		t.Error("the wrong run was put aside")
	}
	if r, err := settingsIn("runs/mine.3"); err != nil || r.Output != "elsewhere" || exists("runs/mine.2") {
		t.Errorf("%v: the records of the run in elsewhere were taken for those of outputs/mine: %s", err, r.Output)
	}
}

// The demo wants its folder to itself.
func TestDemoPutsARunAsideWithItsRecords(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "-o", "outputs/demo", "--max-steps", "2")...)
	s, _, errOut := ui.Test()
	if err := clearDemo("outputs/demo", s); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"outputs/demo.1", "runs/mine.1"} {
		if m := summaryIn(t, dir); m.Run != "mine.1" || m.Adapter != "outputs/demo.1/adapter.gguf" {
			t.Errorf("%s says %+v: %s", dir, m, errOut)
		}
	}
}

// A run that cannot begin leaves the earlier one where it is.
func TestForceWithoutARunChangesNothing(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "2")...)
	putText(t, "bad.jsonl", string(readBytes(t, "train.jsonl"))+"{\"messages\n")
	if err := os.Symlink("outputs/mine/adapter.gguf", "link.gguf"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"base.gguf", "train.jsonl"} {
		if err := os.Link(path, filepath.Join("outputs/mine", path)); err != nil {
			t.Fatal(err)
		}
	}
	aside := "--force would put "
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"-d bad.jsonl", ui.ExitInvalid, "bad.jsonl"},
		{"--from outputs/mine/adapter.gguf", ui.ExitUsage, aside + "outputs/mine/adapter.gguf"},
		{"--from link.gguf", ui.ExitUsage, aside + "link.gguf"},
		{"-m outputs/mine/base.gguf", ui.ExitUsage, aside + "outputs/mine/base.gguf"},
		{"-d ./outputs/mine/train.jsonl:0.5", ui.ExitUsage, aside + "./outputs/mine/train.jsonl"},
		{"--eval-data outputs/mine/train.jsonl", ui.ExitUsage, aside + "outputs/mine/train.jsonl"},
	} {
		code, _, errOut := runMain(t, tinyArgs(append(strings.Fields(c.args), "--name", "mine", "--force")...)...)
		if code != c.code || !strings.Contains(errOut, c.want) || strings.Contains(errOut, "put the earlier run aside") {
			t.Errorf("%s: exit code %d: %s", c.args, code, errOut)
		}
		if exists("outputs/mine.1") || exists("runs/mine.1") || summaryIn(t, "outputs/mine").Run != "mine" {
			t.Fatalf("%s: the earlier run was put aside for nothing", c.args)
		}
	}
	mustRun(t, tinyArgs("--name", "mine", "--force", "--config", "outputs/mine/config.yaml", "--max-steps", "1")...)
	if summaryIn(t, "outputs/mine").Steps != 1 || summaryIn(t, "outputs/mine.1").Steps != 2 {
		t.Error("the earlier run was not put aside")
	}
}

// A folder that cannot be renamed keeps its records.
func TestPutAsideIsWhole(t *testing.T) {
	tinyRun(t)
	if err := os.Mkdir("work", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir("work")
	args := strings.Fields("train -m ../base.gguf -d ../train.jsonl -c 64 --rank 4 --max-steps 1 -t 1 --name d --output .")
	mustRun(t, args...)
	code, _, errOut := runMain(t, append(args, "--force")...)
	if code != ui.ExitFailure || !strings.Contains(errOut, "put . aside") || !strings.Contains(errOut, "--output") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if exists("runs/d.1") || summaryIn(t, "runs/d").Run != "d" {
		t.Error("the records were put aside without their run")
	}
}

func TestRenameAllOrNone(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"a", "b", "b.1/full"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := renameAll([][2]string{{"gone", "gone.1"}, {"a", "a.1"}, {"b", "b.1"}})
	if err == nil || !strings.Contains(err.Error(), "put b aside") || strings.Contains(err.Error(), "back") {
		t.Errorf("error %v", err)
	}
	if exists("a.1") || !exists("a") || !exists("b") {
		t.Error("one folder was renamed without the other")
	}
}

// The copy of a run's folder is not the run, whose records stay.
func TestPutAsideOfACopy(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "2")...)
	files := []string{"runs/mine/summary.json", "runs/mine/config.yaml", "outputs/mine/summary.json", "outputs/mine/config.yaml"}
	var before [][]byte
	for _, path := range files {
		before = append(before, readBytes(t, path))
	}
	for _, dir := range []string{"demo-out", "outputs/copy"} {
		if err := os.CopyFS(dir, os.DirFS("outputs/mine")); err != nil {
			t.Fatal(err)
		}
	}
	s, _, _ := ui.Test()
	if err := clearDemo("demo-out", s); err != nil {
		t.Fatal(err)
	}
	mustRun(t, tinyArgs("--name", "copy", "--max-steps", "1", "--force")...)
	for i, path := range files {
		if !bytes.Equal(before[i], readBytes(t, path)) {
			t.Errorf("%s was changed", path)
		}
	}
	for _, dir := range []string{"demo-out.1", "outputs/copy.1"} {
		if !bytes.Equal(before[2], readBytes(t, filepath.Join(dir, summaryFile))) {
			t.Errorf("%s is not the folder as it was", dir)
		}
	}
}

// The run put aside keeps its name, whatever the one in its place is called.
func TestPutAsideForARunOfAnotherName(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "2")...)
	mustRun(t, tinyArgs("--name", "zzz", "-o", "outputs/mine", "--max-steps", "1", "--force")...)
	for dir, run := range map[string]string{"outputs/mine.1": "mine.1", "runs/mine.1": "mine.1", "outputs/mine": "zzz", "runs/zzz": "zzz"} {
		if m := summaryIn(t, dir); m.Run != run {
			t.Errorf("%s says %+v", dir, m)
		}
	}
	if exists("runs/mine") || exists("runs/zzz.1") {
		t.Error("the records were not put aside with their run")
	}
}

func TestDemoLeavesARunThatTrains(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "demo", "--max-steps", "1")...)
	held, err := foldersOf(config.Run{Name: "demo", Output: "outputs/demo"}).claim(true, false)
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	s, _, _ := ui.Test()
	if err := clearDemo("outputs/demo", s); err == nil || !strings.Contains(err.Error(), "another process") || exists("outputs/demo.1") {
		t.Errorf("error %v", err)
	}
}

func summaryIn(t *testing.T, dir string) trainSummary {
	t.Helper()
	var m trainSummary
	if err := json.Unmarshal(readBytes(t, filepath.Join(dir, summaryFile)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}
