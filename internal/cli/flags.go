package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// enumFlag is a string flag that accepts a fixed set of values and names them
// when it refuses another.
type enumFlag struct {
	value   *string
	allowed []string
}

// enumVar adds such a flag; the usage text gets the list of values.
func enumVar(flags *pflag.FlagSet, p *string, name, def string, allowed []string, usage string) {
	*p = def
	flags.Var(&enumFlag{value: p, allowed: allowed}, name, usage+": "+strings.Join(allowed, ", "))
}

func (f *enumFlag) String() string { return *f.value }
func (f *enumFlag) Type() string   { return "string" }

func (f *enumFlag) Set(v string) error {
	for _, a := range f.allowed {
		if strings.EqualFold(v, a) {
			*f.value = a
			return nil
		}
	}
	return fmt.Errorf("valid values are %s", strings.Join(f.allowed, ", "))
}
