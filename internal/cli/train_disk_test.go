package cli

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

const fullDiskEnv = "QLORA_TEST_FULL_DISK"

// TestTrainOnFullDisk lets the disk of the output run full in the middle of a
// run: a clear error, and once there is room again the run goes on from its
// last checkpoint to the same adapter. The disk is a file system in memory,
// mounted in a namespace of its own.
func TestTrainOnFullDisk(t *testing.T) {
	if os.Getenv(fullDiskEnv) != "" {
		fillDisk(t)
		return
	}
	if out, err := exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("no mount namespaces here: %v: %s", err, out)
	}
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "straight")...)
	if err := os.Mkdir("small", 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-rm", "sh", "-c", `mount -t tmpfs -o size=600k tmpfs small && exec "$0" -test.run='^TestTrainOnFullDisk$' -test.v`, os.Args[0])
	cmd.Env = append(os.Environ(), fullDiskEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestTrainOnFullDisk")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// fillDisk is the process inside the namespace.
func fillDisk(t *testing.T) {
	const ballast = "small/ballast"
	if err := os.WriteFile(ballast, make([]byte, 200<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	args := tinyArgs("--name", "mine", "-o", "small/out", "--save-every", "1", "--keep-last", "3")
	code, _, errOut := runMain(t, args...)
	if code != ui.ExitFailure || !bytes.Contains([]byte(errOut), []byte("no space left on device")) || !bytes.Contains([]byte(errOut), []byte("free some space")) {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	_, errOut = mustRun(t, append(args, "--resume", "last")...)
	if !bytes.Contains([]byte(errOut), []byte("continuing from small/out/checkpoint-")) {
		t.Errorf("resumed: %s", errOut)
	}
	if !bytes.Equal(weights(t, "outputs/straight/adapter.gguf"), weights(t, "small/out/adapter.gguf")) {
		t.Error("the run on the full disk ended in another adapter")
	}
}
