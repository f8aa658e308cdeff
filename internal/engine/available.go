package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// availableMemory is what the kernel says can be had without swapping (MemAvailable of /proc/meminfo).
func availableMemory() (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("find free memory: %w", err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("find free memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("find free memory: /proc/meminfo has no MemAvailable")
}
