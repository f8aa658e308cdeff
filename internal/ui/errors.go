package ui

import "errors"

// Exit codes of the binary. Scripts rely on them: see docs/scripting.md.
const (
	ExitOK          = 0   // done
	ExitFailure     = 1   // failure with no better code
	ExitUsage       = 2   // wrong flags, arguments or configuration
	ExitSkipped     = 3   // finished, some input was skipped
	ExitInvalid     = 4   // a model or a data file is invalid
	ExitDevice      = 5   // no usable device, or out of memory
	ExitDiverged    = 6   // training diverged
	ExitInterrupted = 130 // interrupted, checkpoint written
)

// CodedError is an error that knows the exit code it deserves and what the
// user can do next. Hints are one line each and name a command or a flag.
type CodedError struct {
	Code  int
	Err   error
	Hints []string
}

// Error is the text of the wrapped error; code and hints are printed apart.
func (e *CodedError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *CodedError) Unwrap() error { return e.Err }

// Fail attaches an exit code and hints to err. A nil err stays nil.
func Fail(code int, err error, hints ...string) error {
	if err == nil {
		return nil
	}
	return &CodedError{Code: code, Err: err, Hints: hints}
}

// Hints gathers the hints of every CodedError in the chain of err, outermost
// first.
func Hints(err error) []string {
	var hints []string
	var coded *CodedError
	for errors.As(err, &coded) {
		hints = append(hints, coded.Hints...)
		err = coded.Err
	}
	return hints
}
