package ggml

// #include "bridge.h"
import "C"

import (
	"errors"
	"strings"
)

var (
	// ErrNoMemory marks what could not be allocated, in memory or on a device.
	ErrNoMemory = errors.New("out of memory")
	// ErrDevice marks what a device, its driver or its libraries failed at, for want of memory or otherwise.
	ErrDevice = errors.New("the device failed")
)

// deviceError is what the module says of its last failing call. CUDA's own text of cudaErrorMemoryAllocation, and the module's
// of what it could not allocate itself, hold that of ErrNoMemory.
type deviceError string

func (e deviceError) Error() string { return string(e) }

// Is makes errors.Is see the kind.
func (e deviceError) Is(kind error) bool {
	return kind == ErrDevice || kind == ErrNoMemory && strings.Contains(string(e), ErrNoMemory.Error())
}

// failure is the error of the module's last failing call.
func (m *Module) failure() error { return deviceError(C.GoString(C.qlora_module_error(m.ptr))) }
