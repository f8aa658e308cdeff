package ggml

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindModule(t *testing.T) {
	root := t.TempDir()
	in := func(parts ...string) string { return filepath.Join(append([]string{root}, parts...)...) }
	for _, dir := range []string{"bin/lib/qlora", "lib/qlora", "elsewhere"} {
		if err := os.MkdirAll(in(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	find := func(env, want string) {
		t.Helper()
		if got, _, err := findModule(env, in("bin")); got != want || err != nil {
			t.Errorf("%s=%q: %q, %v, want %q", LibraryPathEnv, env, got, err, want)
		}
	}
	find("", "")
	if _, tried, _ := findModule("", in("bin")); !slices.Equal(tried, []string{in("bin"), in("bin/lib/qlora"), in("lib/qlora")}) {
		t.Errorf("tried %v", tried)
	}
	// from the last place to the first: each wins over those before
	for _, dir := range []string{"lib/qlora", "bin/lib/qlora", "bin"} {
		path := in(dir, ModuleFile)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		find("", path)
	}
	other := in("elsewhere", "other.so")
	for _, path := range []string{other, in("elsewhere", ModuleFile)} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	find(other, other)
	find(in("elsewhere"), in("elsewhere", ModuleFile))
	// a variable that is set and wrong is not passed over
	for _, env := range []string{in("nowhere"), in("lib"), in("elsewhere", "none.so")} {
		if path, _, err := findModule(env, in("bin")); path != "" || !errors.Is(err, ErrLibraryPath) {
			t.Errorf("%s=%q: %q, %v", LibraryPathEnv, env, path, err)
		}
	}
}

// sharedObject compiles C into a library and returns its path.
func sharedObject(t *testing.T, name, source string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-o", path, "-x", "c", "-", "-x", "none"}, flags...)...)
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile %s: %v\n%s", name, err, out)
	}
	return path
}

func TestLoadModuleRefuses(t *testing.T) {
	stamp := func(text string) string {
		return fmt.Sprintf("const char * qlora_cuda_stamp(void) { return %q; }", text)
	}
	text := filepath.Join(t.TempDir(), ModuleFile)
	if err := os.WriteFile(text, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"another version's", sharedObject(t, "old.so", stamp("0123456789abcdef")), "built from other headers (stamp 0123456789ab"},
		{"an incomplete one", sharedObject(t, "part.so", stamp(Stamp())), "does not export qlora_cuda_error"},
		{"a missing file", "testdata/absent.so", "no such file"},
	} {
		m, err := LoadModule(c.path)
		if m != nil || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := LoadModule(text); err == nil {
		t.Error("a text file was loaded")
	}
	if _, err := LoadModule(sharedObject(t, "old.so", stamp("x"))); !errors.Is(err, ErrOtherStamp) {
		t.Errorf("another stamp: %v", err)
	}
}

// A module whose own libraries are missing is not one whose driver is.
func TestMissingDriverIsToldApart(t *testing.T) {
	driver := sharedObject(t, "libcuda.so", "int cuInit(int f) { return f; }", "-Wl,-soname,libcuda.so.1")
	cublas := sharedObject(t, "libcublas.so", "int cublasCreate(void) { return 0; }", "-Wl,-soname,libcublas.so.99")
	needs := func(library string) error {
		_, err := LoadModule(sharedObject(t, "m.so", "int x;", "-Wl,--no-as-needed", library))
		return err
	}
	if err := needs(cublas); err == nil || !errors.Is(err, ErrNoDriver) && !strings.Contains(err.Error(), "libcublas.so.99") {
		t.Errorf("without cuBLAS: %v", err)
	}
	err := needs(driver)
	if err != nil && strings.Contains(err.Error(), "does not export") {
		t.Skip("this machine has a driver library")
	}
	if !errors.Is(err, ErrNoDriver) || !strings.Contains(err.Error(), "libcuda.so.1") {
		t.Errorf("without a driver: %v", err)
	}
}

// TestStampIsTheBuilds has CMake compute the stamp that it compiles into the module.
func TestStampIsTheBuilds(t *testing.T) {
	cmake, err := exec.LookPath("cmake")
	if err != nil {
		t.Skip("cmake is not installed: the stamp of a build is not compared")
	}
	dir, err := filepath.Abs("cuda")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "print.cmake")
	text := fmt.Sprintf("include(%q)\nqlora_stamp(stamp)\nmessage(${stamp})\n", filepath.Join(dir, "stamp.cmake"))
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(cmake, "-P", script).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != Stamp() {
		t.Errorf("cmake says %q, this binary %q (%v)", out, Stamp(), err)
	}
}
