package cli

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/ui"
)

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
		devices[i] = strings.TrimSpace(d)
		if _, err := config.ParseDevice(devices[i]); err != nil {
			return nil, fmt.Errorf("--devices %s: %w", text, err)
		}
	}
	return devices, nil
}

// rankDevice is the device in the list that is this process's, empty without a
// list.
func rankDevice(devices []string, w *dist.World) (string, error) {
	at := 0
	if w != nil {
		at = w.LocalRank
	}
	switch {
	case len(devices) == 0:
		return "", nil
	case at >= len(devices):
		return "", fmt.Errorf("--devices names %s, and this is rank %d of its machine, from 0", english.Plural(len(devices), "device", ""), at)
	}
	return devices[at], nil
}

// openDevice finds the device of this process: that of --devices, else that of
// the settings, which leave it to a rank's place on its machine which GPU is
// its own.
func (o trainOptions) openDevice(r *config.Run, s *ui.Streams) (computeDevice, error) {
	if o.device != "" {
		r.Device = o.device
	}
	return openTrainDevice(r, o.group.World(), s)
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
