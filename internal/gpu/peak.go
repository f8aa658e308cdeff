package gpu

import (
	"errors"
	"time"
)

// Peaks are the highest figures of a Sampler's time, each on its own: they need
// not belong to one moment.
type Peaks struct {
	Devices []Sample // lost ones too; Time is that of the last sample

	// MemProcess is the most that this process held on all devices together at
	// one moment, in bytes. By Source it is a figure of the driver's or a guess.
	MemProcess *uint64
}

// Peaks are the highest figures so far.
func (s *Sampler) Peaks() Peaks {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Peaks{MemProcess: s.peak}
	for _, d := range s.devices {
		p.Devices = append(p.Devices, d.peak)
	}
	return p
}

// PeakDuring runs f while it samples the devices that ids name, and returns
// what they peaked at with the error of f. Where they cannot be sampled
// (ErrNoDriver among the reasons) f does not run. What lives shorter than the
// interval can be missed.
func PeakDuring(open func() (*NVML, error), ids []ID, interval time.Duration, f func() error) (peaks Peaks, err error) {
	s, err := StartSampler(open, ids, interval)
	if err != nil {
		return Peaks{}, err
	}
	defer func() {
		err = errors.Join(err, s.Stop())
		peaks = s.Peaks()
	}()
	return Peaks{}, f()
}
