package hub

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// watched is a body that gives up when its server sends less than a least
// number of bytes in a window of time. A server that sends one byte now and
// then is as bad as one that sends none.
type watched struct {
	body   io.Reader
	cancel context.CancelFunc
	window time.Duration
	least  int64

	mu      sync.Mutex
	timer   *time.Timer
	got     int64 // in this window
	stalled bool
}

// watch makes a body fail, through cancel, once it is too slow. The caller
// reads it to an error or calls cancel.
func (c *Client) watch(body io.Reader, cancel context.CancelFunc) *watched {
	w := &watched{body: body, cancel: cancel, window: c.o.IdleTimeout, least: c.least()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.window, w.check)
	return w
}

// least is how many bytes a connection must bring in a window of time.
func (c *Client) least() int64 {
	return max(1, int64(c.o.IdleTimeout.Seconds()*float64(c.o.LeastRate)))
}

func (w *watched) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.got < w.least {
		w.stalled = true
		w.cancel()
		return
	}
	w.got = 0
	w.timer.Reset(w.window)
}

// Read counts, and names the reason when the watch ended the connection.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got += int64(n)
	if err == nil {
		return n, nil
	}
	w.timer.Stop()
	if err != io.EOF && w.stalled {
		err = fmt.Errorf("fewer than %d bytes came in %s", w.least, w.window)
	}
	return n, err
}

// stop ends the watch of a body that is not read to its end.
func (w *watched) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}
