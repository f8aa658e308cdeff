package cli

import (
	"errors"

	"github.com/qlora/qlora/internal/prep/chatlog"
	"github.com/qlora/qlora/internal/ui"
)

// redactDefault is what --redact is when it is not given.
const redactDefault = "off"

// logCleaner removes secrets from logs; nil when they stay.
func logCleaner(mode string) (chatlog.Cleaner, error) {
	if mode == "off" {
		return nil, nil
	}
	return nil, ui.Fail(ui.ExitUsage, errors.New("this build has no rules that find secrets"), "look through the output, or use --redact off")
}
