package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// Budget is how much of a device's or a machine's memory a run may take: a number of bytes, a
// share of the device, or all that is free.
type Budget struct {
	Bytes int64
	Share float64 // of the whole memory, when Bytes is 0
}

// ErrBudgetOnCPU refuses a budget where nothing is computed on a device.
var ErrBudgetOnCPU = errors.New("vram-budget is about the memory of a GPU; the CPU has none")

// ParseBudget reads a size such as 11GiB (2^30 bytes) or 24G (10^9), or a share
// of the whole such as 80%. The empty text is all that is free. Errors name the
// setting.
func ParseBudget(setting, text string) (Budget, error) {
	if text == "" {
		return Budget{}, nil
	}
	if percent, ok := strings.CutSuffix(strings.TrimSpace(text), "%"); ok {
		p, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
		if err != nil || !(p > 0 && p <= 100) {
			return Budget{}, fmt.Errorf("%s %q: a share is more than 0 and at most 100%%", setting, text)
		}
		return Budget{Share: p / 100}, nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > math.MaxInt64 {
		return Budget{}, fmt.Errorf("%s %q: it is a size such as 11GiB, or a share such as 80%%", setting, text)
	}
	return Budget{Bytes: int64(n)}, nil
}

// Open tells that nothing was asked for.
func (b Budget) Open() bool { return b == Budget{} }

// Of is the bytes of a whole of total bytes.
func (b Budget) Of(total int64) int64 {
	if b.Bytes > 0 {
		return b.Bytes
	}
	return int64(b.Share * float64(total))
}
