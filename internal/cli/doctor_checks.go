package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gpu"
)

func checkCPU() check {
	c := check{Name: "processor", State: checkOK, Detail: runtime.GOARCH + ", " + english.Plural(runtime.NumCPU(), "thread", "")}
	if runtime.GOARCH != "amd64" {
		return c
	}
	c.Detail += ", " + simdName(cpu.X86.HasAVX2 && cpu.X86.HasFMA, cpu.X86.HasAVX512F)
	if !cpu.X86.HasAVX2 {
		c.State, c.Advice = checkMissing, "training will be slow without AVX2; use a newer processor if you can"
	}
	return c
}

// checkBuild compares what the C code was compiled for with what the processor
// can do: a plain "go build" runs everywhere and uses neither AVX2 nor AVX-512.
func checkBuild() check {
	avx2, avx512 := ggml.CompiledFor()
	c := check{Name: "binary", State: checkOK, Detail: "compiled for " + simdName(avx2, avx512)}
	if cpu.X86.HasAVX2 && !avx2 || cpu.X86.HasAVX512F && !avx512 {
		c.State, c.Advice = checkMissing, "build with 'make build' on this machine, which compiles for its processor"
	}
	return c
}

func simdName(avx2, avx512 bool) string {
	switch {
	case avx512:
		return "AVX-512"
	case avx2:
		return "AVX2"
	default:
		return "no AVX2"
	}
}

// memoryPaths are the files of the kernel that memory is read from.
type memoryPaths struct{ meminfo, limit string }

var memoryFiles = memoryPaths{meminfo: "/proc/meminfo", limit: "/sys/fs/cgroup/memory.max"}

func checkMemory(files memoryPaths) check {
	c := check{Name: "memory", State: checkOK}
	total, available, err := readMemory(files)
	if err != nil {
		c.State, c.Detail = checkMissing, err.Error()
		return c
	}
	c.Detail = fmt.Sprintf("%s, %s available", humanize.IBytes(total), humanize.IBytes(available))
	const small = 1 << 30
	if available < small {
		c.State, c.Advice = checkMissing, "choose a small model, and --recompute block to train in less memory"
	}
	return c
}

// readMemory returns bytes; a container's limit counts where it is lower.
func readMemory(files memoryPaths) (total, available uint64, err error) {
	f, err := os.Open(files.meminfo)
	if err != nil {
		return 0, 0, fmt.Errorf("read memory size: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text()) // "MemTotal:  1024 kB"
		if len(fields) < 2 {
			continue
		}
		kilobytes, err := strconv.ParseUint(fields[1], 10, 54)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "MemTotal:":
			total = kilobytes << 10
		case "MemAvailable:":
			available = kilobytes << 10
		}
	}
	if total == 0 {
		return 0, 0, fmt.Errorf("read memory size: %s has no MemTotal", files.meminfo)
	}
	if text, err := os.ReadFile(files.limit); err == nil {
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && limit < total {
			total, available = limit, min(available, limit)
		}
	}
	return total, available, nil
}

func checkDriver() check {
	c := check{Name: "gpu", State: checkMissing, Advice: "training runs on the CPU; for a GPU install NVIDIA's driver"}
	devices, err := readGPUs()
	switch {
	case errors.Is(err, gpu.ErrNoDriver):
		c.Detail = err.Error()
	case err != nil:
		c.Detail, c.Advice = err.Error(), "check that nvidia-smi works"
	case len(devices) == 0:
		c.Detail = "driver without a GPU"
	default:
		c.State, c.Advice = checkOK, ""
		c.Detail = fmt.Sprintf("%d x %s, driver %s", len(devices), devices[0].Name, devices[0].DriverVersion)
	}
	return c
}

func readGPUs() (devices []gpu.Device, err error) {
	n, err := gpu.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	return n.Devices()
}

// workFolders are where commands write, relative to where they are started.
var workFolders = []string{"data", "outputs", "runs", "logs"}

// checkFolder tries to write in dir, or where dir would be made.
func checkFolder(dir string) check {
	c := check{Name: dir + "/", State: checkOK}
	place := dir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		place = filepath.Dir(dir)
		c.Detail = "not there yet; "
	}
	if err := tryWrite(place); err != nil {
		c.State, c.Detail = checkFailed, err.Error()
		c.Advice = "start qlora in a folder of your own, or repair the permissions"
		return c
	}
	c.Detail += "writable"
	var disk unix.Statfs_t
	if err := unix.Statfs(place, &disk); err == nil {
		c.Detail += fmt.Sprintf(", %s free", humanize.IBytes(disk.Bavail*uint64(disk.Bsize)))
	}
	return c
}

func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".qlora-doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// tool is a program that a make target starts.
type tool struct{ name, use, advice string }

var optionalTools = []tool{
	{"tmux", "make tmux-train", "install tmux with your system's package manager"},
	{"tensorboard", "make tensorboard", "install it with 'pip install tensorboard'"},
}

func checkTool(t tool) check {
	path, err := exec.LookPath(t.name)
	if err != nil {
		return check{Name: t.name, State: checkMissing, Detail: "not found; '" + t.use + "' needs it", Advice: t.advice}
	}
	return check{Name: t.name, State: checkOK, Detail: path}
}
