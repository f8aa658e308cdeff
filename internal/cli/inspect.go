package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/ui"
)

const inspectLong = `Inspect shows what a GGUF file holds: its metadata (long values shortened), its
tensors with type, shape and size, and sums of parameters and bytes by type. It
reads the header only, and checks it: sizes, offsets, overlaps.`

const inspectExample = `  qlora inspect -m model.gguf
  qlora inspect model.gguf --no-tensors
  qlora inspect -m adapter.gguf --json`

type inspectOptions struct {
	model     string
	noTensors bool
}

func newInspectCmd(s *ui.Streams) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:     "inspect -m model.gguf",
		Short:   "show metadata and tensors of a GGUF file",
		Long:    inspectLong + exitStatus(ui.ExitInvalid),
		Example: inspectExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && o.model == "" {
				o.model = args[0]
			} else if len(args) == 1 || o.model == "" {
				return asUsage(cmd, errors.New("name one file, with -m or by itself"))
			}
			return o.run(s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *inspectOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVarP(&o.model, "model", "m", "", "GGUF file to read (of a split model the first)")
	flags.BoolVar(&o.noTensors, "no-tensors", false, "leave the list of tensors out")
}

// inspectSummary ends the JSON output of inspect.
type inspectSummary struct {
	Model        string        `json:"model"`
	Files        []string      `json:"files"`
	Version      uint32        `json:"version"`
	Alignment    int64         `json:"alignment"`
	Kind         string        `json:"kind"` // general.type
	Architecture string        `json:"architecture"`
	Name         string        `json:"name"`
	Keys         int           `json:"keys"`
	Tensors      int           `json:"tensors"`
	Parameters   int64         `json:"parameters"`
	Bytes        int64         `json:"bytes"` // of tensor data
	Types        []inspectType `json:"types"`
}

type inspectType struct {
	Type       string `json:"type"`
	Tensors    int    `json:"tensors"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

type inspectKey struct {
	Key    string `json:"key"`
	Type   string `json:"type"`
	Value  any    `json:"value"`            // of a long array the first elements
	Length *int   `json:"length,omitempty"` // of an array
}

type inspectTensor struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"`
	Dims   []int64 `json:"dims"`
	Bytes  int64   `json:"bytes"`
	File   string  `json:"file"`
	Offset int64   `json:"offset"`
}

func (o *inspectOptions) run(s *ui.Streams) error {
	f, err := gguf.Open(o.model)
	if err != nil {
		return openError(err, o.model)
	}
	defer f.Close()
	if err := printKeys(s, f); err != nil {
		return err
	}
	if !o.noTensors {
		if err := printTensors(s, f); err != nil {
			return err
		}
	}
	return printSums(s, inspectSums(o.model, f))
}

func printKeys(s *ui.Streams, f *gguf.File) error {
	var rows [][]string
	for _, kv := range f.KVs() {
		event := inspectKey{Key: kv.Key, Type: strings.TrimPrefix(fmt.Sprintf("%T", kv.Value), "[]"), Value: elide(kv)}
		if n := kv.Length(); n >= 0 {
			event.Length = &n
		}
		if err := s.Event("key", event); err != nil {
			return err
		}
		rows = append(rows, []string{kv.Key, fmt.Sprintf("%T", kv.Value), keyText(kv)})
	}
	if !s.JSON {
		ui.Table(s.Out, []string{"key", "type", "value"}, rows)
		s.Printf("\n")
	}
	return nil
}

func printTensors(s *ui.Streams, f *gguf.File) error {
	var rows [][]string
	for _, t := range f.Tensors() {
		event := inspectTensor{Name: t.Name, Type: t.Type.String(), Dims: t.Dims, Bytes: t.Size, File: f.Paths()[t.Shard], Offset: t.Offset}
		if err := s.Event("tensor", event); err != nil {
			return err
		}
		rows = append(rows, []string{t.Name, t.Type.String(), shapeText(t.Dims), humanize.IBytes(uint64(t.Size))})
	}
	if !s.JSON && len(rows) > 0 {
		ui.Table(s.Out, []string{"tensor", "type", "shape", "size"}, rows)
		s.Printf("\n")
	}
	return nil
}

func shapeText(dims []int64) string {
	var parts []string
	for _, d := range dims {
		parts = append(parts, fmt.Sprint(d))
	}
	return strings.Join(parts, " x ")
}

func inspectSums(path string, f *gguf.File) inspectSummary {
	sum := inspectSummary{Model: path, Files: f.Paths(), Version: f.Version(), Alignment: f.Alignment(), Keys: len(f.KVs()), Tensors: len(f.Tensors())}
	sum.Kind, _ = f.String("general.type")
	sum.Architecture, _ = f.String("general.architecture")
	sum.Name, _ = f.String("general.name")
	types := map[string]inspectType{}
	for _, t := range f.Tensors() {
		it := types[t.Type.String()]
		it.Type = t.Type.String()
		it.Tensors, it.Parameters, it.Bytes = it.Tensors+1, it.Parameters+t.Elements(), it.Bytes+t.Size
		types[it.Type] = it
		sum.Parameters, sum.Bytes = sum.Parameters+t.Elements(), sum.Bytes+t.Size
	}
	sum.Types = slices.SortedFunc(maps.Values(types), func(a, b inspectType) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
	return sum
}

func printSums(s *ui.Streams, sum inspectSummary) error {
	if !s.JSON {
		var rows [][]string
		for _, t := range sum.Types {
			rows = append(rows, []string{t.Type, fmt.Sprint(t.Tensors), humanize.Comma(t.Parameters), humanize.IBytes(uint64(t.Bytes))})
		}
		rows = append(rows, []string{"all", fmt.Sprint(sum.Tensors), humanize.Comma(sum.Parameters), humanize.IBytes(uint64(sum.Bytes))})
		ui.Table(s.Out, []string{"type", "tensors", "parameters", "size"}, rows)
	}
	s.Printf("\n%s: GGUF version %d, %s, %s, %s, %s %s\n", strings.Join(sum.Files, ", "), sum.Version,
		describeKind(sum), english.Plural(sum.Keys, "key", ""), english.Plural(sum.Tensors, "tensor", ""),
		roundedCount(sum.Parameters), english.PluralWord(int(sum.Parameters), "parameter", ""))
	return s.Event("summary", sum)
}

// roundedCount is such as "5.8 M". A short number is rounded, where
// humanize.SIWithDigits cuts its digits off.
func roundedCount(n int64) string {
	value, prefix := humanize.ComputeSI(float64(n))
	return strings.TrimSpace(fmt.Sprintf("%s %s", strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0"), prefix))
}

// describeKind is such as "model of architecture llama".
func describeKind(sum inspectSummary) string {
	return cmp.Or(sum.Kind, "model") + " of architecture " + cmp.Or(sum.Architecture, "unknown")
}
