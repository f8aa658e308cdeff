package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"
)

// TestClusterExamples runs the scripts of docs/prep/examples on stand-ins for
// sbatch and kubectl, which run the jobs one after the other. The condition
// logshards holds when logs2sft can be run in parts.
func TestClusterExamples(t *testing.T) {
	examples, err := filepath.Abs("../../docs/prep/examples")
	if err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Abs("../../data/staging/claude")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/cluster",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SCRIPTS", filepath.Join(env.WorkDir, "examples"))
			return errors.Join(
				os.CopyFS(filepath.Join(env.WorkDir, "examples"), os.DirFS(examples)),
				os.CopyFS(filepath.Join(env.WorkDir, "logs"), os.DirFS(logs)))
		},
		Condition: func(name string) (bool, error) {
			if name != "logshards" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			help, err := exec.Command("qlora", "prep", "logs2sft", "--help").CombinedOutput()
			return bytes.Contains(help, []byte("--shard")), err
		},
	})
}

// fakeSbatch runs a job at once and prints its number. Of an array, it sets
// what Slurm sets.
func fakeSbatch() {
	array, args := 0, os.Args[1:]
	for ; len(args) > 0 && strings.HasPrefix(args[0], "--"); args = args[1:] {
		if spec, ok := strings.CutPrefix(args[0], "--array=1-"); ok {
			array, _ = strconv.Atoi(spec)
		}
	}
	for task := min(1, array); task <= array; task++ {
		env := os.Environ()
		if array > 0 {
			env = append(env, fmt.Sprint("SLURM_ARRAY_TASK_ID=", task), fmt.Sprint("SLURM_ARRAY_TASK_COUNT=", array), "SLURM_ARRAY_TASK_MIN=1")
		}
		runJob(exec.Command("sh", args...), env)
	}
	fmt.Println(nextJob())
}

// nextJob counts the jobs in a file.
func nextJob() int {
	text, _ := os.ReadFile("jobs")
	if err := os.WriteFile("jobs", append(text, '.'), 0o600); err != nil {
		exitWith(err)
	}
	return len(text) + 1
}

func runJob(job *exec.Cmd, env []string) {
	job.Env, job.Stdout, job.Stderr = env, os.Stderr, os.Stderr
	if err := job.Run(); err != nil {
		exitWith(err)
	}
}

func exitWith(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// indexedJob is what the stand-in reads of a manifest.
type indexedJob struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Spec       struct {
		CompletionMode string `yaml:"completionMode"`
		Completions    int
		Template       struct {
			Spec struct {
				RestartPolicy string `yaml:"restartPolicy"`
				Containers    []struct {
					WorkingDir string `yaml:"workingDir"`
					Command    []string
					Env        []struct{ Name, Value string }
				}
			}
		}
	}
}

// fakeKubectl runs the pods of a Job one after the other. The folder /scripts
// is that of the examples, /data is the one it runs in.
func fakeKubectl() {
	if os.Args[1] == "wait" {
		fmt.Printf("job.batch/%s condition met\n", strings.TrimPrefix(os.Args[len(os.Args)-1], "job/"))
		return
	}
	text, err := io.ReadAll(os.Stdin)
	var job indexedJob
	if err = errors.Join(err, yaml.Unmarshal(text, &job)); err != nil {
		exitWith(err)
	}
	pod := job.Spec.Template.Spec
	if job.APIVersion != "batch/v1" || job.Kind != "Job" || job.Spec.CompletionMode != "Indexed" ||
		job.Spec.Completions < 1 || pod.RestartPolicy != "Never" || len(pod.Containers) != 1 || pod.Containers[0].WorkingDir != "/data" {
		exitWith(fmt.Errorf("not the manifest of an indexed Job:\n%s", text))
	}
	c := pod.Containers[0]
	for index := range job.Spec.Completions {
		env := append(os.Environ(), fmt.Sprint("JOB_COMPLETION_INDEX=", index))
		for _, v := range c.Env {
			env = append(env, v.Name+"="+v.Value)
		}
		var args []string
		for _, arg := range c.Command[1:] {
			args = append(args, strings.Replace(arg, "/scripts", os.Getenv("SCRIPTS"), 1))
		}
		runJob(exec.Command(c.Command[0], args...), env)
	}
}
