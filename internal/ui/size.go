package ui

import (
	"fmt"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes for a person who compares it with others: from 1 GiB
// on with two decimals.
func Size(n int64) string {
	if n < 1<<30 {
		return humanize.IBytes(uint64(max(n, 0)))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
