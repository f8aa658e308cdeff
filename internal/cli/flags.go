package cli

import (
	"errors"
	"fmt"
	"strconv"
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

// inWords says of a flag's number what is wrong with it, in place of the name of
// the function that did not read it.
func inWords(err error) error {
	var number *strconv.NumError
	if !errors.As(err, &number) {
		return err
	}
	want := map[string]string{"Atoi": "not a whole number", "ParseInt": "not a whole number", "ParseUint": "not a whole number from 0",
		"ParseFloat": "not a number", "ParseBool": "neither true nor false"}[number.Func]
	text := fmt.Sprintf("%q is %s", number.Num, want)
	switch {
	case errors.Is(number, strconv.ErrRange):
		text = fmt.Sprintf("%q is out of range", number.Num)
	case want == "":
		return err
	}
	return errors.New(strings.Replace(err.Error(), number.Error(), text, 1))
}
