package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func noEnv(string) (string, bool) { return "", false }

func TestSourcesOverrideInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.yaml")
	writeFile(t, path, "rank: 8\nalpha: 9\ndropout: 0.1\ndata: [a.jsonl, 'b.jsonl:0.5']\n")
	env := map[string]string{"QLORA_ALPHA": "10", "QLORA_DROPOUT": "0.2", "QLORA_EVAL_DATA": "e.jsonl,f.jsonl", "QLORA_SEED": ""}
	flags := []Setting{{"dropout", []string{"0.9", "0.3"}}, {"pack", []string{"false"}}}
	r, err := ResolveRun(path, func(k string) (string, bool) { v, ok := env[k]; return v, ok }, flags)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultRun()
	want.Rank, want.Alpha, want.Dropout, want.Pack = 8, 10, 0.3, false
	want.Data, want.EvalData = []string{"a.jsonl", "b.jsonl:0.5"}, []string{"e.jsonl", "f.jsonl"}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
}

// A flag replaces a list from the file, it does not add to it.
func TestListsAreReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.yaml")
	writeFile(t, path, "data: [a, b]\n")
	r, err := ResolveRun(path, noEnv, []Setting{{"data", []string{"c", "d,e"}}})
	if err != nil || !slices.Equal(r.Data, []string{"c", "d,e"}) {
		t.Errorf("%v, %v", r.Data, err)
	}
}

func TestBadSettingsNameTheirSource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.yaml")
	writeFile(t, path, "max_steps: 3\n")
	if _, err := ResolveRun(path, noEnv, nil); err == nil || !strings.Contains(err.Error(), "run.yaml:1") || !strings.Contains(err.Error(), "max-steps") {
		t.Errorf("file: %v", err)
	}
	env := func(k string) (string, bool) { return "many", k == "QLORA_RANK" }
	if _, err := ResolveRun("", env, nil); err == nil || !strings.Contains(err.Error(), "QLORA_RANK") {
		t.Errorf("environment: %v", err)
	}
	for key, value := range map[string]string{"rank": "1.5", "alpha": "x", "pack": "maybe", "seed": "-1"} {
		if _, err := ResolveRun("", noEnv, []Setting{{key, []string{value}}}); err == nil || !strings.Contains(err.Error(), "--"+key) {
			t.Errorf("flag %s: %v", key, err)
		}
	}
	if _, err := ResolveRun("", noEnv, []Setting{{"rnak", []string{"1"}}}); err == nil || !strings.Contains(err.Error(), "rank") {
		t.Errorf("unknown key: %v", err)
	}
}

// The dump, read as a file, gives the same settings: nothing is left out.
func TestDumpReadsBack(t *testing.T) {
	r := DefaultRun()
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() { // no field keeps its default
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("text: #" + v.Type().Field(i).Name)
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Int:
			f.SetInt(f.Int() + 3)
		case reflect.Uint64:
			f.SetUint(1<<64 - 1)
		case reflect.Float64:
			f.SetFloat(f.Float()*1.1 + 1e-13)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"a:0.5", "- b"}))
		}
	}
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ResolveRun(path, noEnv, nil)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v: got %+v\nwant %+v", err, got, r)
	}
}

// Every scalar goes through text unchanged.
func TestTextIsWhatSetTakes(t *testing.T) {
	r := DefaultRun()
	r.Data, r.EvalData, r.SamplePrompts = []string{"x"}, []string{"y"}, []string{"a prompt, with a comma"}
	var got Run
	for _, key := range RunKeys() {
		if r.Kind(key) == "" {
			t.Errorf("%s has no kind", key)
		}
		if err := got.Set(key, r.Text(key)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v\nwant %+v", got, r)
	}
}

func TestCheckRun(t *testing.T) {
	good := DefaultRun()
	good.Model, good.Data = "m.gguf", []string{"d.jsonl"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*Run){
		"no model":         func(r *Run) { r.Model = "" },
		"no training data": func(r *Run) { r.Data = nil },
		"method":           func(r *Run) { r.Method = "dora" },
		"ctx-size":         func(r *Run) { r.CtxSize = 1 },
		"micro-batch-size": func(r *Run) { r.MicroBatchSize = 0 },
		"threads":          func(r *Run) { r.Threads = -1 },
		"n-gpu-layers":     func(r *Run) { r.NGPULayers = -2 },
		"device":           func(r *Run) { r.Device = "gpu" },
		"precision":        func(r *Run) { r.Precision = "fp8" },
		"patience":         func(r *Run) { r.Patience = 1 },
		"name":             func(r *Run) { r.Name = "../other" },
		"name \"..\"":      func(r *Run) { r.Name = ".." },
	} {
		r := good
		spoil(&r)
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestIdentity(t *testing.T) {
	a := DefaultRun()
	settings, digest := a.Identity("m1")
	for change, same := range map[string]func(*Run){
		"epochs": func(r *Run) { r.Epochs = 9 }, "threads": func(r *Run) { r.Threads = 3 },
		"log-every": func(r *Run) { r.LogEvery = 1 }, "device": func(r *Run) { r.Device = "cpu" }, "name": func(r *Run) { r.Name = "x" },
	} {
		b := a
		same(&b)
		if _, d := b.Identity("m1"); d != digest {
			t.Errorf("%s changes what is computed", change)
		}
	}
	for change, other := range map[string]func(*Run){
		"rank": func(r *Run) { r.Rank = 9 }, "clip": func(r *Run) { r.Clip = 3 }, "seed": func(r *Run) { r.Seed = 1 }, "precision": func(r *Run) { r.Precision = "f32" },
	} {
		b := a
		other(&b)
		s, d := b.Identity("m1")
		if d == digest || s[change] == settings[change] {
			t.Errorf("%s does not change what is computed", change)
		}
	}
	if _, d := a.Identity("m2"); d == digest {
		t.Error("the model does not change what is computed")
	}
	a.Method = "full"
	if s, _ := a.Identity("m1"); s["rank"] != "" || s["clip"] == "" {
		t.Errorf("settings of method full: %v", s)
	}
}
