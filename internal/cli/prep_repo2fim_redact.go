package cli

import (
	"errors"

	"github.com/qlora/qlora/internal/prep/fim"
)

const defaultRedact = fim.RedactOff

// codeCleaner masks secrets in code; nil when they stay.
func codeCleaner(mode string) (fim.Cleaner, error) {
	if mode == fim.RedactOff {
		return nil, nil
	}
	return nil, errors.New("redaction is not part of this build")
}
