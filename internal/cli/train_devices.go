package cli

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/ui"
)

// cpuDevice is the name of the processor among devices.
const cpuDevice = "cpu"

// Variables that say how ranks meet.
const (
	joinVar     = "QLORA_JOIN_SECONDS" // how long to wait for the other ranks
	listenerVar = "QLORA_LISTENER_FD"  // the open port of rank 0, from train --devices
)

func (o *trainOptions) addDeviceFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.devices, "devices", "", "train on several `devices`, one process each: a list such as 0,1 of GPUs, or cpu,cpu")
}

// parseDevices takes a list of devices apart.
func parseDevices(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	devices := strings.Split(text, ",")
	for i, d := range devices {
		d = strings.ToLower(strings.TrimSpace(d))
		if n, err := strconv.Atoi(d); d != cpuDevice && (err != nil || n < 0) {
			return nil, fmt.Errorf("--devices %s: %q is neither cpu nor the number of a GPU", text, d)
		}
		devices[i] = d
	}
	return devices, nil
}

// rankDevice is the device of this process, empty where nothing names one: that
// of its place in the list, or its local rank among the GPUs.
func rankDevice(devices []string, w *dist.World) (string, error) {
	switch {
	case w == nil && len(devices) == 1:
		return devices[0], nil
	case w == nil:
		return "", nil
	case len(devices) == 0:
		return strconv.Itoa(w.LocalRank), nil
	case w.LocalRank >= len(devices):
		return "", fmt.Errorf("--devices names %d devices, and this is rank %d of its machine, from 0", len(devices), w.LocalRank)
	}
	return devices[w.LocalRank], nil
}

// checkDevice refuses a GPU that was named and cannot be used.
func (o trainOptions) checkDevice() error {
	if o.devices == "" || o.device == cpuDevice {
		return nil
	}
	return ui.Fail(ui.ExitDevice, fmt.Errorf("--devices %s needs a GPU, and this build has no CUDA library", o.devices),
		"give --devices cpu,cpu to train in two processes on the CPU", "run 'qlora doctor' to see what this machine offers")
}

// joinOptions reads how long to wait for the other ranks and, for rank 0 of
// train --devices, the port that was opened for it.
func joinOptions() (patience time.Duration, ln net.Listener, err error) {
	if text := os.Getenv(joinVar); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 {
			return 0, nil, ui.Fail(ui.ExitUsage, fmt.Errorf("environment variable %s=%q: it must be a number of seconds", joinVar, text))
		}
		patience = time.Duration(seconds) * time.Second
	}
	text := os.Getenv(listenerVar)
	if text == "" {
		return patience, nil, nil
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return 0, nil, fmt.Errorf("environment variable %s=%q: it must be a file descriptor", listenerVar, text)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close() // net.FileListener keeps a copy
	if ln, err = net.FileListener(f); err != nil {
		return 0, nil, fmt.Errorf("take over the port of %s: %w", listenerVar, err)
	}
	return patience, ln, nil
}
