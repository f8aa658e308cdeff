package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// lookups bounds the attempts at what a person waits for before a download
// begins.
const lookups = 5

// again calls attempt until it succeeds, fails for good, or has failed most
// times in a row without progress. Between two attempts it waits:
// twice as long each time, at random between half and all of it so that many
// connections do not come back at once, or as long as the hub says.
func (c *Client) again(ctx context.Context, most int, attempt func() (progress bool, err error)) error {
	failed := 0
	for {
		progress, err := attempt()
		if err == nil || !worthAnother(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if progress {
			failed = 0
		}
		if failed++; failed >= most {
			return fmt.Errorf("%w (after %d attempts)", err, failed)
		}
		wait := c.pause(failed, err)
		if wait > maxWait {
			return fmt.Errorf("%w (it asks to come back in %s)", err, wait.Round(time.Second))
		}
		if wait >= 2*time.Second {
			c.o.Note(fmt.Sprintf("%v; trying again in %s", err, wait.Round(time.Second)))
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (c *Client) pause(failed int, err error) time.Duration {
	var status *StatusError
	if errors.As(err, &status) && status.wait > 0 {
		return status.wait
	}
	base := min(c.o.Backoff<<min(failed-1, 16), maxWait)
	return base/2 + rand.N(base/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// worthAnother is whether the same request may do better the next time.
func worthAnother(err error) bool {
	var final *finalError
	var changed *ChangedError
	var status *StatusError
	var disk *diskError
	switch {
	case errors.As(err, &final), errors.As(err, &changed), errors.As(err, &disk):
		return false
	case errors.As(err, &status):
		return status.Kind == KindBusy || status.Kind == KindNoRanges
	}
	return true
}

// resets reads the seconds until a limit on the rate is lifted: "api";r=0;t=55.
var resets = regexp.MustCompile(`;\s*t=(\d{1,6})`)

// retryAfter is how long a server asks to be left alone, 0 if it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	if m := resets.FindStringSubmatch(h.Get("RateLimit")); m != nil {
		seconds, _ := strconv.Atoi(m[1]) // digits, by the expression
		return time.Duration(seconds) * time.Second
	}
	return 0
}
