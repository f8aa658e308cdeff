package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/ui"
)

const mergeLong = `Merge writes a model with adapters built in: each adapted tensor is dequantised,
the products of the adapters are added in 32-bit floats, and the sum is written
in the type asked for. With --type keep every tensor stays in its own type and
those without an adapter are copied byte for byte. With another type all
matrices are converted, by llama.cpp's choice of type for each tensor; where a
row width does not allow that type, the one used in its place is printed.

What the cards of the adapters say of their training - settings, names of data
files, results - goes into the metadata of the output, and 'qlora export' writes
it into the card of the merged model.

Tensors stream through, so memory stays small whatever the model's size. The
output appears whole or not at all. A split model is read from its first file.`

const mergeExample = `  qlora merge -m base.gguf --lora outputs/mine/adapter.gguf -o mine.gguf
  qlora merge -m base.gguf --lora a.gguf,b.gguf:0.5 -o both.gguf --type f16
  qlora merge -m base.gguf --lora a.gguf -o small.gguf --type q4_k_m --tensors`

type mergeOptions struct {
	model, out, kind string
	lora             []string
	threads          int
	tensors          bool
}

func newMergeCmd(s *ui.Streams) *cobra.Command {
	var o mergeOptions
	cmd := &cobra.Command{
		Use:     "merge -m base.gguf --lora adapter.gguf -o out.gguf",
		Short:   "build adapters into a model",
		Long:    mergeLong + exitStatus(ui.ExitInvalid, ui.ExitInterrupted),
		Example: mergeExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.model == "" || o.out == "" || len(o.lora) == 0 {
				return asUsage(cmd, errors.New("name the base with -m, the adapter with --lora and the output with -o"))
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *mergeOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVarP(&o.model, "model", "m", "", "GGUF file of the base (of a split model the first)")
	flags.StringSliceVar(&o.lora, "lora", nil, "adapter GGUF or run folder, or several: a.gguf,outputs/b:0.5 (a number after the colon scales it)")
	flags.StringVarP(&o.out, "output", "o", "", "GGUF file to write")
	enumVar(flags, &o.kind, "type", lora.Keep, append([]string{lora.Keep}, lora.MixtureNames()...), "type of the output")
	flags.IntVarP(&o.threads, "threads", "t", 0, "CPU threads (0: all)")
	flags.BoolVar(&o.tensors, "tensors", false, "print a line for every tensor that was changed")
}

func (o *mergeOptions) run(ctx context.Context, s *ui.Streams) error {
	start := time.Now()
	base, err := gguf.Open(o.model)
	if err != nil {
		return openError(err, o.model)
	}
	defer base.Close()
	adapters, err := openAdapters(o.lora, s)
	defer closeAdapters(adapters)
	if err != nil {
		return err
	}
	if err := o.checkOutput(base, adapters); err != nil {
		return err
	}
	plan, err := lora.NewPlan(base, adapters, o.kind, mergeKernels().Supports)
	if err != nil {
		return planError(err)
	}
	if err := recordAdapters(plan, base, adapters, s); err != nil {
		return err
	}
	if err := makeFolder(o.out); err != nil {
		return err
	}
	report := newMergeReport(s, o, plan)
	progress := ui.NewProgress(s, plan.Bytes(), "merge", "B")
	err = plan.Merge(ctx, o.out, mergeKernels(), lora.MergeOptions{Threads: o.threads, Report: report.tensor, Progress: progress.Add})
	progress.Finish()
	if errors.Is(err, context.Canceled) {
		return ui.Fail(ui.ExitInterrupted, fmt.Errorf("interrupted; nothing was written to %s", o.out))
	}
	if err != nil {
		return err
	}
	return report.finish(adapters, time.Since(start))
}

// mergeKernels are ggml's conversions, behind the types that lora knows.
func mergeKernels() lora.Kernels {
	return lora.Kernels{
		Supports: func(t gguf.Type) bool { return ggml.Type(t).IsBase() },
		Dequantize: func(t gguf.Type, src []byte, dst []float32) error {
			return ggml.Dequantize(ggml.Type(t), src, dst)
		},
		Store: func(t gguf.Type, src []float32, rowLen int, dst []byte, scratch []float32) (lost, norm float64, err error) {
			return ggml.StoreRows(ggml.Type(t), src, rowLen, dst, scratch)
		},
		AddProduct: ggml.AddProduct,
		Compare:    ggml.Compare,
	}
}

// openAdapters returns what it opened even when one fails.
func openAdapters(args []string, s *ui.Streams) ([]lora.Scaled, error) {
	var out []lora.Scaled
	for _, arg := range args {
		path, factor, err := splitScale(arg)
		if err != nil {
			return out, err
		}
		result, err := resultIn(path)
		if err != nil {
			return out, err
		}
		result.tell(s)
		a, err := lora.OpenAdapter(result.path)
		if err != nil {
			return out, adapterError(err, result.path)
		}
		out = append(out, lora.Scaled{AdapterFile: a, Factor: factor})
	}
	return out, nil
}

func closeAdapters(adapters []lora.Scaled) {
	for _, a := range adapters {
		_ = a.Close() // read-only: nothing can be lost
	}
}

// splitScale reads PATH or PATH:SCALE. What follows a colon and is no number
// is part of the path.
func splitScale(arg string) (path string, factor float64, err error) {
	i := strings.LastIndexByte(arg, ':')
	if i < 0 {
		return arg, 1, nil
	}
	factor, err = strconv.ParseFloat(arg[i+1:], 64)
	if err != nil {
		return arg, 1, nil
	}
	if math.IsNaN(factor) || math.IsInf(factor, 0) {
		return "", 0, ui.Fail(ui.ExitUsage, fmt.Errorf("--lora %s: the scale must be a finite number", arg))
	}
	return arg[:i], factor, nil
}

// checkOutput refuses to write to a folder, a device or an input.
func (o *mergeOptions) checkOutput(base *gguf.File, adapters []lora.Scaled) error {
	out, err := os.Stat(o.out)
	if err != nil {
		return nil // a new file; that it cannot be written shows when it is created
	}
	if out.IsDir() {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("-o %s is a folder", o.out), "name the file to write, such as "+o.out+"/merged.gguf")
	}
	if !out.Mode().IsRegular() {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("-o %s exists and is not a regular file", o.out), "name the file to write")
	}
	inputs := base.Paths()
	for _, a := range adapters {
		inputs = append(inputs[:len(inputs):len(inputs)], a.Path)
	}
	return refuseOverwrite("-o", o.out, inputs...)
}

// adapterError is openError for what is never split.
func adapterError(err error, path string) error {
	if errors.Is(err, os.ErrNotExist) {
		return fileError(err, path)
	}
	return openError(err, path)
}

// openError is for a model or adapter that cannot be read.
func openError(err error, path string) error {
	hint := fmt.Sprintf("look into the file with 'qlora inspect -m %s'", path)
	var format *gguf.FormatError
	switch {
	case errors.Is(err, os.ErrNotExist):
		hint = "check the path; a split model needs all of its files side by side"
	case isFolder(path):
		hint = "name the GGUF file, not its folder"
	case errors.As(err, &format):
		hint = "download or write the file again; it is damaged, incomplete or no GGUF"
	}
	return ui.Fail(ui.ExitInvalid, err, hint)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func planError(err error) error {
	var mismatch *lora.MismatchError
	if errors.As(err, &mismatch) {
		return ui.Fail(ui.ExitInvalid, err, "merge into the model that the adapter was trained on (qlora inspect shows both)")
	}
	return ui.Fail(ui.ExitInvalid, err)
}
