package gpu

import (
	"fmt"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Source says how a Sampler knows the memory of this process on a device.
type Source string

// The sources. Growth serves where the driver lists no processes, or lists them
// under ids that are not ours, as in containers and virtual machines; it counts
// what other processes take or free meanwhile.
const (
	ByProcess Source = "process" // the driver's list of processes, by our id
	ByGrowth  Source = "growth"  // memory used on the device now, less that at the start
)

// Sample is what one device said at one moment.
type Sample struct {
	Index int // in the driver's order
	Name  string
	UUID  string
	Time  time.Time
	Figures
	Source Source // of MemProcess; empty when that is nil
}

// sampled is one device of a Sampler. Only the sampling goroutine reads the
// driver through it.
type sampled struct {
	handle   nvml.Device
	pid      uint32
	newest   Sample
	peak     Sample
	baseline *uint64 // bytes used when sampling began
	listed   bool    // the driver has listed our pid
	lost     bool
}

func (n *NVML) sampled(id ID, pid uint32) (*sampled, error) {
	d, err := n.Find(id)
	if err != nil {
		return nil, err
	}
	handle, err := n.handle(id)
	if err != nil {
		return nil, err
	}
	identity := Sample{Index: d.Index, Name: d.Name, UUID: d.UUID}
	return &sampled{handle: handle, pid: pid, newest: identity, peak: identity}, nil
}

// read asks the device. The error says that it is lost.
func (d *sampled) read(now time.Time) (Sample, error) {
	s := Sample{Index: d.newest.Index, Name: d.newest.Name, UUID: d.newest.UUID, Time: now}
	var lost nvml.Return
	if s.Figures, lost = readFigures(d.handle); lost != nvml.SUCCESS {
		return s, fmt.Errorf("GPU %d (%s) is not sampled any more: %w", s.Index, s.Name, lost)
	}
	if d.baseline == nil {
		d.baseline = s.MemUsed
	}
	s.MemProcess, s.Source = d.ownMemory(s.MemUsed)
	return s, nil
}

// ownMemory prefers the driver's list. Once that has named this process it is
// the only source: a process that is no longer in it holds nothing.
func (d *sampled) ownMemory(used *uint64) (*uint64, Source) {
	running, ret := d.handle.GetComputeRunningProcesses()
	own, listed := sumOwn(running, d.pid)
	switch {
	case own != nil:
		d.listed = true
		return own, ByProcess
	case d.listed && ret == nvml.SUCCESS && !listed:
		return new(uint64), ByProcess
	case d.listed || used == nil:
		return nil, ""
	}
	grown := *used - min(*used, *d.baseline)
	return &grown, ByGrowth
}

// sumOwn adds up the entries of pid; nil when there is none or when one of them
// has no figure.
func sumOwn(running []nvml.ProcessInfo, pid uint32) (own *uint64, listed bool) {
	var sum uint64
	for _, p := range running {
		if p.Pid != pid {
			continue
		}
		listed = true
		if p.UsedGpuMemory == notAvailable {
			return nil, true
		}
		sum += p.UsedGpuMemory
	}
	if !listed {
		return nil, false
	}
	return &sum, true
}

// record makes s the newest sample. A peak by growth gives way to the driver's
// list once that names this process; then changed is true.
func (d *sampled) record(s Sample) (changed bool) {
	d.newest = s
	if s.Source != "" && s.Source != d.peak.Source {
		changed = d.peak.Source != ""
		d.peak.MemProcess, d.peak.Source = nil, s.Source
	}
	d.peak.raise(s.Figures)
	d.peak.Time = s.Time
	return changed
}
