package ggml

import (
	"errors"
	"fmt"
	"testing"
)

func TestDeviceErrorKinds(t *testing.T) {
	for text, noMemory := range map[string]bool{
		"group of blk.0.attn_q.weight: out of memory":        true,
		"out of memory: no workspace for cuBLAS on device 0": true,
		"an illegal memory access was encountered":           false,
	} {
		err := fmt.Errorf("compute: %w", deviceError(text))
		if errors.Is(err, ErrNoMemory) != noMemory || !errors.Is(err, ErrDevice) {
			t.Errorf("%q: out of memory %t, want %t", text, errors.Is(err, ErrNoMemory), noMemory)
		}
	}
}

func TestAllocationThatCannotBe(t *testing.T) {
	s, err := NewStore(4)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	SetLog(func(int, string) {})
	defer SetLog(nil)
	s.New("huge", F32, 1<<24, 1<<24)
	if err := s.Alloc(b); !errors.Is(err, ErrNoMemory) {
		t.Errorf("a petabyte: %v, want out of memory", err)
	}
	if s.Bytes() != 0 {
		t.Errorf("%d bytes were allocated", s.Bytes())
	}
}
