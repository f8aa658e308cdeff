package ggml

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeTools makes a PATH of the named tools of this machine and of scripts.
func fakeTools(t *testing.T, real []string, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range real {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not installed: build.sh is not tried", name)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/usr/bin/env bash\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestCUDABuild runs build.sh with an nvcc, a g++ and a cmake that only say what they are.
func TestCUDABuild(t *testing.T) {
	nvcc := func(release string) string {
		return `case $1 in --version) echo "Cuda compilation tools, release ` + release + `" ;; *) printf 'sm_75\nsm_80\nsm_90\n' ;; esac`
	}
	const gxx11, gxx14, cmake = "echo 11.4.0", "echo 14", `echo "cmake $*"`
	for _, c := range []struct {
		name    string
		scripts map[string]string
		env     string
		ok      bool
		want    []string
	}{
		{"no cmake", map[string]string{"nvcc": nvcc("11.8"), "g++": gxx11}, "", false, []string{"cmake was not found", "apt install cmake"}},
		{"old nvcc", map[string]string{"nvcc": nvcc("11.5")}, "", false, []string{"CUDA 11.5; 11.8 is the oldest"}},
		{"new g++", map[string]string{"nvcc": nvcc("11.8"), "g++": gxx14}, "", false, []string{"up to version 11", "apt install g++-11"}},
		{"unknown device", map[string]string{"nvcc": nvcc("11.8"), "g++": gxx11}, "CUDA_ARCH=80;120", false, []string{"does not know 120", "75 80 90"}},
		{"older g++", map[string]string{"nvcc": nvcc("12.2"), "g++": gxx14, "g++-12": "", "cmake": cmake}, "", true,
			[]string{"-DCMAKE_CUDA_HOST_COMPILER=/", "/g++-12", "-DCMAKE_CUDA_ARCHITECTURES=75 "}},
		{"jobs and devices", map[string]string{"nvcc": nvcc("13.0"), "g++": gxx14, "cmake": cmake}, "CUDA_ARCH=90,75,80 CUDA_JOBS=3", true,
			[]string{"-DCMAKE_CUDA_ARCHITECTURES=75-real;80-real;90 ", "--target qlora-kernels -j 3", "host g++,"}},
	} {
		path := fakeTools(t, []string{"bash", "go", "dirname", "sed", "tr", "grep", "sort", "nproc"}, c.scripts)
		cmd := exec.Command("cuda/build.sh", "check")
		cmd.Env = append(os.Environ(), "PATH="+path, "CUDA_HOME=", "CUDA_HOST=", "CUDA_JOBS=", "CUDA_ARCH=75")
		cmd.Env = append(cmd.Env, strings.Fields(c.env)...)
		out, err := cmd.CombinedOutput()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, out)
			}
		}
	}
}
