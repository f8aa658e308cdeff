package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/llama"
)

// flashFlag is llama.cpp's --flash-attn: on, off, auto, or the flag alone for on. Auto is on where the device that holds a
// layer has a kernel for it. Its words may also follow the flag as the next argument; see rewriteArgs.
type flashFlag struct{ llama.FlashAttn }

var flashWords = map[string]llama.FlashAttn{
	"on": llama.FlashOn, "true": llama.FlashOn, "1": llama.FlashOn,
	"off": llama.FlashOff, "false": llama.FlashOff, "0": llama.FlashOff,
	"auto": llama.FlashAuto,
}

func (f *flashFlag) addFlag(flags *pflag.FlagSet, def llama.FlashAttn) {
	f.FlashAttn = def
	flags.Var(f, "flash-attn", "use flash attention (-fa): `on|off|auto`")
	flags.Lookup("flash-attn").NoOptDefVal = "on"
}

func (f *flashFlag) Type() string { return "string" }

func (f *flashFlag) String() string {
	switch f.FlashAttn {
	case llama.FlashOn:
		return "on"
	case llama.FlashAuto:
		return "auto"
	default:
		return "off"
	}
}

func (f *flashFlag) Set(word string) error {
	value, ok := flashWords[word]
	if !ok {
		return errFlashWord
	}
	f.FlashAttn = value
	return nil
}

var errFlashWord = errors.New("valid values are on, off, auto")

// refuseFlashWord says of a word after -fa, in a command that takes no
// arguments, that it is no value.
func refuseFlashWord(cmd *cobra.Command, arg string, rest []string) error {
	if dashes(nil, arg) != "--flash-attn" || len(rest) == 0 || strings.HasPrefix(rest[0], "-") || cmd.Args == nil || cmd.Args(cmd, rest[:1]) == nil {
		return nil
	}
	return fmt.Errorf("invalid argument %q for \"-fa, --flash-attn\": %w", rest[0], errFlashWord)
}

// isFlashAttn tells whether next is the value of the flag in arg, which pflag would take for a word of its own.
func isFlashAttn(arg, next string) bool {
	_, ok := flashWords[next]
	return ok && dashes(nil, arg) == "--flash-attn"
}
