// Package tfevents writes TensorBoard event files: a sequence of TFRecord
// frames, each holding one protocol-buffer Event. Scalars are all that a run
// needs, so the few fields are encoded by hand.
package tfevents

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Writer appends events to one file. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	buf  *bufio.Writer
	file io.Closer // nil once closed
	name string
}

// fileCount tells writers apart that one process opens within one second.
var fileCount atomic.Int64

// Create makes dir if it is not there and starts a new event file in it. The
// name has the form that TensorBoard looks for:
// events.out.tfevents.SECONDS.HOST.PID.COUNT.
func Create(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make event folder: %w", err)
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	now := time.Now()
	name := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%d.%s.%d.%d", now.Unix(), host, os.Getpid(), fileCount.Add(1)))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create event file: %w", err)
	}
	w := newWriter(f, name)
	if err := w.write(versionEvent(now)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

func newWriter(f io.WriteCloser, name string) *Writer {
	return &Writer{buf: bufio.NewWriter(f), file: f, name: name}
}

// Scalar records the value that tag has at step. The value reaches the file at
// the next Flush.
func (w *Writer) Scalar(tag string, step int64, value float32, t time.Time) error {
	return w.write(scalarEvent(tag, step, value, t))
}

// Restart tells viewers to forget what earlier files of the folder hold of step
// and later ones: a resumed run records them again.
func (w *Writer) Restart(step int64, t time.Time) error {
	return w.write(restartEvent(step, t))
}

func (w *Writer) write(event []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return fmt.Errorf("write %s: %w", w.name, os.ErrClosed)
	}
	if _, err := w.buf.Write(frame(event)); err != nil {
		return fmt.Errorf("write %s: %w", w.name, err)
	}
	return nil
}

// Flush hands all recorded events to the operating system, so that a viewer
// sees them.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.buf.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", w.name, err)
	}
	return nil
}

// Close flushes and closes the file. A second call does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.buf.Flush(), w.file.Close())
	w.file = nil
	if err != nil {
		return fmt.Errorf("close %s: %w", w.name, err)
	}
	return nil
}
