package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
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

// plainFlagError says what a flag of pflag's own types wants, in the words of
// config.Run's settings, where pflag passes on what strconv says.
func plainFlagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	if !errors.As(err, &invalid) || !errors.As(err, &number) {
		return err
	}
	kind := strings.TrimRight(invalid.GetFlag().Value.Type(), "0123456789")
	wants := map[string]string{"bool": "neither true nor false", "float": "not a number",
		"int": "not a whole number", "count": "not a whole number", "uint": "not a whole number from 0"}[kind]
	switch {
	case errors.Is(number, strconv.ErrRange):
		wants = "out of range"
	case wants == "":
		return err
	}
	text := strings.TrimSuffix(err.Error(), invalid.Unwrap().Error())
	return fmt.Errorf("%s%q is %s", text, number.Num, wants)
}
