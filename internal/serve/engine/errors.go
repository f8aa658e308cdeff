package engine

import "fmt"

// Kind says who is to blame for an error.
type Kind int

// The kinds.
const (
	Internal     Kind = iota // the engine failed
	Invalid                  // the request cannot be met
	ContextFull              // the prompt does not fit
	UnknownModel             // no adapter of that name
	Unavailable              // the engine is not there now
)

// Error is what an Engine fails with.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}
