package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/scrub"
)

// What becomes of secrets and personal data.
const (
	redactMask = "mask" // each is replaced
	redactDrop = "drop" // what holds one is left out
	redactOff  = "off"  // they stay
)

var redactModes = []string{redactMask, redactDrop, redactOff}

// redaction is what every command that removes secrets can be told about them.
type redaction struct {
	extra, keyFile string
	seed           uint64
	ips            bool
}

func (r *redaction) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&r.extra, "redact-extra", "", "file of further texts to redact, one a line, or /patterns/")
	flags.StringVar(&r.keyFile, "redact-key-file", "", "file whose content is mixed into the replacements")
	flags.BoolVar(&r.ips, "redact-ip", false, "redact public IPv4 addresses too; version numbers can look like them")
}

// check refuses options that ask for what mode leaves undone.
func (r *redaction) check(mode string) error {
	if mode == redactOff && (r.extra != "" || r.keyFile != "" || r.ips) {
		return errors.New("nothing is redacted with off: leave --redact-extra, --redact-key-file and --redact-ip out, or choose mask or drop")
	}
	return nil
}

// scrubber reads what the flags name. The second result names the rules and
// replacements, for the identity of a run in parts.
func (r *redaction) scrubber() (*scrub.Scrubber, string, error) {
	options := scrub.Options{Seed: r.seed, IPs: r.ips}
	if r.extra != "" {
		content, err := os.ReadFile(r.extra)
		if err != nil {
			return nil, "", fmt.Errorf("read --redact-extra: %w", err)
		}
		options.Extra = scrub.ParseExtra(string(content))
	}
	if r.keyFile != "" {
		content, err := os.ReadFile(r.keyFile)
		if err != nil {
			return nil, "", fmt.Errorf("read --redact-key-file: %w", err)
		}
		if options.Key = strings.TrimSpace(string(content)); options.Key == "" {
			return nil, "", &prep.InputError{Text: fmt.Sprintf("--redact-key-file %s holds no key", r.keyFile)}
		}
	}
	s, err := scrub.New(options)
	if err != nil && r.extra != "" {
		err = &prep.InputError{Text: fmt.Sprintf("--redact-extra %s: %v", r.extra, err)}
	}
	return s, options.ID(), err
}
