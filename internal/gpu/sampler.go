package gpu

import (
	"errors"
	"os"
	"sync"
	"time"
)

// DefaultInterval is how often a Sampler looks unless told otherwise.
const DefaultInterval = time.Second

// Sampler watches devices in the background. Its methods are safe for
// concurrent use, and none but Stop waits for the driver. Stop it.
type Sampler struct {
	nvml *NVML // nil when there is no device to sample
	stop chan struct{}
	done chan struct{} // closed when the goroutine has ended
	once sync.Once
	err  error // of Stop

	mu       sync.Mutex
	devices  []*sampled
	failures []error
	peak     *uint64 // Peaks.MemProcess
}

// StartSampler samples the devices that ids name every interval (0:
// DefaultInterval), the first time before it returns. Start it before anything
// is allocated on them: see ByGrowth. Without ids it opens nothing and has no
// samples. The error is ErrNoDriver where there is none; open is gpu.Open but
// for tests.
func StartSampler(open func() (*NVML, error), ids []ID, interval time.Duration) (*Sampler, error) {
	s := &Sampler{stop: make(chan struct{}), done: make(chan struct{})}
	if len(ids) == 0 {
		close(s.done)
		return s, nil
	}
	if interval <= 0 {
		interval = DefaultInterval
	}
	var err error
	if s.nvml, err = open(); err != nil {
		return nil, err
	}
	if s.devices, err = s.nvml.allSampled(ids); err != nil {
		return nil, errors.Join(err, s.nvml.Close())
	}
	s.sweep(time.Now())
	go s.run(interval)
	return s, nil
}

// allSampled opens each device once, however often ids name it.
func (n *NVML) allSampled(ids []ID) ([]*sampled, error) {
	var all []*sampled
	seen := map[string]bool{}
	for _, id := range ids {
		d, err := n.sampled(id, uint32(os.Getpid()))
		if err != nil {
			return nil, err
		}
		if !seen[d.newest.UUID] {
			all = append(all, d)
		}
		seen[d.newest.UUID] = true
	}
	return all, nil
}

// run samples until Stop, and once more then.
func (s *Sampler) run(interval time.Duration) {
	defer close(s.done)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			s.sweep(time.Now())
			return
		case now := <-tick.C:
			s.sweep(now)
		}
	}
}

// sweep reads every device that is still there. The driver is asked outside of
// the lock.
func (s *Sampler) sweep(now time.Time) {
	var total *uint64
	for _, d := range s.devices {
		if d.lost {
			continue
		}
		sample, err := d.read(now)
		s.record(d, sample, err)
		if err == nil {
			total = sum(total, sample.MemProcess)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peak = higher(s.peak, total)
}

func (s *Sampler) record(d *sampled, sample Sample, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		d.lost = true
		s.failures = append(s.failures, err)
	} else if d.record(sample) {
		s.peak = nil // what it adds up was a guess
	}
}

// sum adds figures; one that is not told adds nothing.
func sum(a, b *uint64) *uint64 {
	if a == nil || b == nil {
		return higher(a, b)
	}
	total := *a + *b
	return &total
}

// Latest is the newest sample of every device that is not lost, in the order
// asked for.
func (s *Sampler) Latest() []Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	var samples []Sample
	for _, d := range s.devices {
		if !d.lost {
			samples = append(samples, d.newest)
		}
	}
	return samples
}

// Failures are the devices lost since the last call.
func (s *Sampler) Failures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	failures := s.failures
	s.failures = nil
	return failures
}

// Stop takes a last sample, ends the sampling and closes the driver. A second
// call does nothing and returns the same; samples and peaks stay readable.
func (s *Sampler) Stop() error {
	s.once.Do(func() {
		close(s.stop)
		<-s.done
		if s.nvml != nil {
			s.err = s.nvml.Close()
		}
	})
	return s.err
}
