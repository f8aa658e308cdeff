package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

const quantizeLong = `Quantize writes a model with its matrices in a smaller type, through llama.cpp's
own quantiser: mixtures such as q4_k_m give some tensors more bits, and widths
that a type cannot hold fall back to another, which is reported. The output
appears whole or not at all.`

const quantizeExample = `  qlora quantize -m model-f16.gguf -o model-q4_k_m.gguf --type q4_k_m
  qlora quantize -m model-f16.gguf -o model-q8_0.gguf --type q8_0 --json`

type quantizeOptions struct {
	model, out, kind string
	threads          int
	pure             bool
	keepOutput       bool
	requantize       bool
}

func newQuantizeCmd(s *ui.Streams) *cobra.Command {
	var o quantizeOptions
	cmd := &cobra.Command{
		Use:     "quantize -m in.gguf -o out.gguf --type <type>",
		Short:   "write a model in a smaller type",
		Long:    quantizeLong + exitStatus(ui.ExitInvalid),
		Example: quantizeExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.model == "" || o.out == "" {
				return asUsage(cmd, errors.New("name the input with -m and the output with -o"))
			}
			if err := refuseOverwrite("-o", o.out, modelFiles(o.model)...); err != nil {
				return err
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *quantizeOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVarP(&o.model, "model", "m", "", "GGUF file to read")
	flags.StringVarP(&o.out, "output", "o", "", "GGUF file to write")
	enumVar(flags, &o.kind, "type", "q4_k_m", llama.QuantizeTypes(), "type of the matrices")
	flags.IntVarP(&o.threads, "threads", "t", 0, "CPU threads (0: all)")
	flags.BoolVar(&o.pure, "pure", false, "give every matrix the same type, without a mixture")
	flags.BoolVar(&o.keepOutput, "leave-output-tensor", false, "leave output.weight in its own type")
	flags.BoolVar(&o.requantize, "allow-requantize", false, "accept an input that is quantised already; it loses twice")
}

// quantizeSummary ends the JSON output of quantize.
type quantizeSummary struct {
	Input         string         `json:"input"`
	Output        string         `json:"output"`
	Type          string         `json:"type"`
	InputBytes    int64          `json:"input_bytes"`  // of tensor data
	OutputBytes   int64          `json:"output_bytes"` // of tensor data
	BitsPerWeight float64        `json:"bits_per_weight"`
	Tensors       map[string]int `json:"tensors"` // how many of each type
	Fallbacks     []string       `json:"fallbacks,omitempty"`
}

func (o *quantizeOptions) run(ctx context.Context, s *ui.Streams) error {
	before, err := tensorStats(o.model)
	if err != nil {
		return openError(err, o.model)
	}
	if before.kind == "adapter" {
		return ui.Fail(ui.ExitInvalid, fmt.Errorf("%s %w", o.model, errIsAdapter),
			fmt.Sprintf("build it into its base first: qlora merge -m base.gguf --lora %s -o merged.gguf", o.model))
	}
	if err := makeFolder(o.out); err != nil {
		return err
	}
	watch := quantizeWatch{progress: ui.NewProgress(s, int64(before.count), "quantize", "tensors")}
	llama.SetLog(llama.LevelInfo, watch.line)
	defer logLlama(ctx)
	err = llama.Quantize(o.model, o.out, llama.QuantizeOptions{
		Type: o.kind, Threads: o.threads, Pure: o.pure, KeepOutput: o.keepOutput, Requantize: o.requantize,
	})
	watch.progress.Finish()
	if err != nil {
		return quantizeError(err)
	}
	after, err := tensorStats(o.out)
	if err != nil {
		return fmt.Errorf("read back what was written: %w", err)
	}
	return o.report(s, before, after, watch.fallbacks)
}

func quantizeError(err error) error {
	if strings.Contains(err.Error(), "requantizing") {
		return ui.Fail(ui.ExitInvalid, err, "start from the F16 file, or accept the loss with --allow-requantize")
	}
	return modelError(err)
}

func (o *quantizeOptions) report(s *ui.Streams, before, after stats, fallbacks []string) error {
	sum := quantizeSummary{
		Input: o.model, Output: o.out, Type: o.kind, InputBytes: before.bytes, OutputBytes: after.bytes,
		BitsPerWeight: 8 * float64(after.bytes) / float64(max(after.weights, 1)),
		Tensors:       after.types, Fallbacks: fallbacks,
	}
	if len(fallbacks) > 0 {
		n := len(fallbacks)
		s.Infof("qlora: %s %s too narrow for the type that %s gives %s and fell back: %s (--json lists them)\n", english.Plural(n, "tensor", ""),
			english.PluralWord(n, "is", "are"), o.kind, english.PluralWord(n, "it", "them"), countList(fallbackTypes(fallbacks)))
	}
	s.Printf("%s: %s to %s, %.2f bits per weight (%s)\n", o.out, humanize.IBytes(uint64(before.bytes)),
		humanize.IBytes(uint64(after.bytes)), sum.BitsPerWeight, countList(after.types))
	return s.Event("summary", sum)
}

// fallbackTypes counts the types that tensors fell back to, the last word of
// each line.
func fallbackTypes(lines []string) map[string]int {
	types := map[string]int{}
	for _, line := range lines {
		types[strings.ToUpper(line[strings.LastIndexByte(line, ' ')+1:])]++
	}
	return types
}

// countList prints counts as "F32 x 61, Q4_K x 16".
func countList(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s x %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

// stats counts the tensors of a file.
type stats struct {
	count          int
	bytes, weights int64
	types          map[string]int
	kind           string // general.type, "" where the file does not say
}

func tensorStats(path string) (stats, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return stats{}, err
	}
	s := stats{types: map[string]int{}}
	s.kind, _ = f.String("general.type")
	for _, t := range f.Tensors() {
		s.count++
		s.bytes += t.Size
		s.weights += t.Elements()
		s.types[t.Type.String()]++
	}
	return s, f.Close()
}

// quantizeWatch reads libllama's log, the only place where it tells how far it
// is and which tensors fell back to another type.
type quantizeWatch struct {
	progress  *ui.Progress
	tensor    string // the one being written
	fallbacks []string
}

// tensorLine begins the line of each tensor, such as "[   3/ 211] name - ...".
var tensorLine = regexp.MustCompile(`^\[\s*(\d+)/\s*\d+\]\s+(\S+)`)

// line takes one line of the log. A fallback follows its tensor's line.
func (w *quantizeWatch) line(_ llama.Level, text string) {
	if m := tensorLine.FindStringSubmatch(text); m != nil {
		n, _ := strconv.ParseInt(m[1], 10, 64) // the pattern admits digits only
		w.progress.Set(n)
		w.tensor = m[2]
	}
	if _, why, ok := strings.Cut(text, " : "); ok && strings.Contains(why, "using fallback quantization") {
		w.fallbacks = append(w.fallbacks, w.tensor+": "+strings.TrimSpace(why))
	}
}
