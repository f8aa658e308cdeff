package cli

import (
	"context"
	"errors"
	"testing"
)

func TestAbandon(t *testing.T) {
	failed := errors.New("failed")
	if n, err := abandon(t.Context(), func() (int, error) { return 3, failed }); n != 3 || !errors.Is(err, failed) {
		t.Errorf("work that ends: %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stuck := make(chan struct{})
	defer close(stuck)
	_, err := abandon(ctx, func() (int, error) {
		cancel()
		<-stuck
		return 3, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("work that hangs: %v", err)
	}
}
