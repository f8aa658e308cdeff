package llama

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrInvalidFile marks a model or adapter file that is missing, unreadable,
	// truncated, not a GGUF file or not one that fits.
	ErrInvalidFile = errors.New("invalid model file")
	// ErrSameFile marks an output path that is the input.
	ErrSameFile = errors.New("the output is the input")
	// ErrNoMemory marks a context or cache that could not be allocated.
	ErrNoMemory = errors.New("out of memory")
	// ErrNoDevice marks a device that no loaded backend has.
	ErrNoDevice = errors.New("no such device")
	// ErrContextFull is returned by Decode when the cache has no room left.
	ErrContextFull = errors.New("context is full")
	// ErrClosed is returned by a call on a closed handle.
	ErrClosed = errors.New("already closed")
)

// FileError says what is wrong with a model or adapter file. It unwraps to
// ErrInvalidFile and to the cause, when there is one.
type FileError struct {
	Path   string
	Reason string
	Err    error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.Reason) }

// Unwrap makes errors.Is see both the kind and the cause.
func (e *FileError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrInvalidFile}
	}
	return []error{ErrInvalidFile, e.Err}
}

// reason turns the lines that libllama logged during a failed call into one
// clause: function names dropped, repetitions dropped.
func reason(lines []string, fallback string) string {
	var kept []string
	for _, line := range lines {
		line = strings.TrimSpace(trimFunction(line))
		if line != "" && !contains(kept, line) {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		return fallback
	}
	return strings.Join(kept, "; ")
}

// trimFunction drops the "function: " that libllama puts before its messages.
func trimFunction(line string) string {
	name, rest, ok := strings.Cut(line, ": ")
	if ok && !strings.ContainsAny(name, " '\"/") {
		return rest
	}
	return line
}

// contains tells whether line is part of one already kept.
func contains(kept []string, line string) bool {
	for _, k := range kept {
		if strings.Contains(k, line) {
			return true
		}
	}
	return false
}

// outOfMemory tells from libllama's log that a device had no room.
func outOfMemory(lines []string) bool {
	for _, line := range lines {
		if strings.Contains(line, "out of memory") || strings.Contains(line, "unable to allocate") || strings.Contains(line, "failed to allocate") {
			return true
		}
	}
	return false
}
