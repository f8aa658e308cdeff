package ui

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// throttle keeps drawing out of the way of the work.
const throttle = 100 * time.Millisecond

// Progress is a bar on standard error when that is a terminal and the user did
// not ask for quiet; otherwise it is silent. Its methods are safe to call from
// several goroutines.
type Progress struct {
	bar *progressbar.ProgressBar // nil: silent
}

// NewProgress starts a bar of total units. Unit "B" is shown as bytes; a
// negative total is a spinner.
func NewProgress(s *Streams, total int64, label, unit string) *Progress {
	if !s.ErrTTY || s.Quiet {
		return &Progress{}
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(s.Err),
		progressbar.OptionSetDescription(label),
		progressbar.OptionSetWidth(max(10, min(40, s.Width-60))),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString(unit),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionEnableColorCodes(false),
		progressbar.OptionThrottle(throttle),
	}
	if unit == "B" {
		options = append(options, progressbar.OptionShowBytes(true))
	}
	bar := progressbar.NewOptions64(total, options...)
	_ = bar.RenderBlank() // shows the label before the first unit is done
	return &Progress{bar: bar}
}

// Add moves the bar on by n units.
func (p *Progress) Add(n int64) {
	if p.bar != nil {
		_ = p.bar.Add64(n) // a bar that cannot be drawn must not stop the work
	}
}

// Set moves the bar to n units.
func (p *Progress) Set(n int64) {
	if p.bar != nil {
		_ = p.bar.Set64(n)
	}
}

// Describe replaces the label.
func (p *Progress) Describe(label string) {
	if p.bar != nil {
		p.bar.Describe(label)
	}
}

// Write counts len(b) units, so that a Progress can stand behind io.TeeReader
// or io.MultiWriter.
func (p *Progress) Write(b []byte) (int, error) {
	p.Add(int64(len(b)))
	return len(b), nil
}

// Finish clears the bar.
func (p *Progress) Finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
