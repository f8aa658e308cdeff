package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type sample struct {
	Model    string   `yaml:"model"`
	Data     []string `yaml:"data"`
	MaxSteps int      `yaml:"max-steps"`
	LoRA     struct {
		Rank int `yaml:"rank"`
	} `yaml:"lora"`
}

func TestDecodeKeepsDefaults(t *testing.T) {
	v := sample{MaxSteps: 7, Model: "base.gguf"}
	v.LoRA.Rank = 16
	if err := Decode("run.yaml", []byte("model: other.gguf\nlora:\n  rank: 8\n"), &v); err != nil {
		t.Fatal(err)
	}
	if v.Model != "other.gguf" || v.MaxSteps != 7 || v.LoRA.Rank != 8 {
		t.Errorf("got %+v", v)
	}
	if err := Decode("empty.yaml", []byte("# nothing\n"), &v); err != nil || v.MaxSteps != 7 {
		t.Errorf("empty file: %v, %+v", err, v)
	}
}

func TestDecodeNamesFileLineAndKey(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"unknown key", "model: x\nmax_step: 3\n", `run.yaml:2: unknown key "max_step"; did you mean max-steps?`},
		{"unknown inner key", "lora:\n  ranks: 3\n", `run.yaml:2: unknown key "ranks"; did you mean rank?`},
		{"far from every key", "telemetry: on\n", `run.yaml:1: unknown key "telemetry"`},
		{"wrong type", "model: x\nmax-steps: many\n", "run.yaml:2: max-steps: cannot unmarshal !!str `many` into int"},
		{"duplicate", "model: x\nmodel: y\n", `run.yaml:2: model: mapping key "model" already defined at line 1`},
		{"syntax", "model: x\n data: [\n", "run.yaml:2: "},
		{"two documents", "model: x\n---\nmodel: y\n", "run.yaml: more than one YAML document"},
		{"a list", "- 1\n", "run.yaml:1: cannot unmarshal"},
	}
	for _, c := range cases {
		var v sample
		err := Decode("run.yaml", []byte(c.text), &v)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestDecodeReportsEveryMistake(t *testing.T) {
	var v sample
	err := Decode("run.yaml", []byte("a: 1\nbcd: 2\n"), &v)
	if err == nil || strings.Count(err.Error(), "unknown key") != 2 {
		t.Errorf("got %v", err)
	}
}

func TestReadFileMissing(t *testing.T) {
	var v sample
	if err := ReadFile(filepath.Join(t.TempDir(), "no.yaml"), &v); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("model: x\nlora: {rank: 3}\n")
	f.Add("a: &a [*a]\n")
	f.Add("? \n:\n- ")
	f.Fuzz(func(t *testing.T, text string) {
		var v sample
		if err := Decode("run.yaml", []byte(text), &v); err != nil && !strings.HasPrefix(err.Error(), "run.yaml:") {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}

func TestDistance(t *testing.T) {
	cases := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"rank", "rnak", 2}, {"same", "same", 0}}
	for _, c := range cases {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestLoadDotEnv(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	if err := LoadDotEnv(path); err != nil {
		t.Errorf("no file: %v", err)
	}
	t.Setenv("QLORA_TEST_SET", "before")
	t.Setenv("QLORA_TEST_NEW", "") // restored when the test ends
	os.Unsetenv("QLORA_TEST_NEW")
	writeFile(t, path, "# secrets\nQLORA_TEST_SET=after\nQLORA_TEST_NEW=\"a b\"\n")
	if err := LoadDotEnv(path); err != nil {
		t.Fatal(err)
	}
	if a, b := os.Getenv("QLORA_TEST_SET"), os.Getenv("QLORA_TEST_NEW"); a != "before" || b != "a b" {
		t.Errorf("got %q and %q; the environment must win over the file", a, b)
	}
}

func TestMalformedDotEnvDoesNotLeak(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	writeFile(t, path, "TOKEN hf_secret\n=hf_secret\n")
	err := LoadDotEnv(path)
	if err == nil || strings.Contains(err.Error(), "hf_secret") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestXDGDirs(t *testing.T) {
	t.Setenv("HOME", "/home/someone")
	t.Setenv("XDG_CACHE_HOME", "/fast/cache")
	t.Setenv("XDG_CONFIG_HOME", "relative")
	cache, err := CacheDir()
	if err != nil || cache != "/fast/cache/qlora" {
		t.Errorf("cache %q, %v", cache, err)
	}
	conf, err := ConfigDir()
	if err != nil || conf != "/home/someone/.config/qlora" {
		t.Errorf("a relative path must be ignored: %q, %v", conf, err)
	}
	t.Setenv("HOME", "")
	if _, err := ConfigDir(); err == nil {
		t.Error("no HOME must be an error")
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
