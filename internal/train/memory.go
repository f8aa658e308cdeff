package train

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// Memory is what the process holds, in bytes. The GPU's part is 0 without one.
type Memory struct {
	RSS, PeakRSS   uint64
	VRAM, PeakVRAM uint64
}

// ProcessMemory reads the resident set of this process and its high-water mark
// from /proc; what cannot be read is 0.
func ProcessMemory() Memory {
	var m Memory
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		m.RSS = residentBytes(string(text), os.Getpagesize())
	}
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		m.PeakRSS = highWaterBytes(text)
	}
	return m
}

// residentBytes is the second field of statm, which counts pages.
func residentBytes(statm string, pageSize int) uint64 {
	fields := strings.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(pageSize)
}

// highWaterBytes is the line "VmHWM: n kB" of status.
func highWaterBytes(status []byte) uint64 {
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}
