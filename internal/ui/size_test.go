package ui

import "testing"

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 5 << 20: "5.0 MiB", 1 << 30: "1.00 GiB", 23*1<<30 + 1<<29: "23.50 GiB", 1 << 42: "4096.00 GiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
