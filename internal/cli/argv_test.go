package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/llama"
)

// testTree has the kinds of flag that rewriting must tell apart.
func testTree() *cobra.Command {
	root := &cobra.Command{Use: "qlora"}
	root.SetGlobalNormalizationFunc(dashes)
	root.PersistentFlags().CountP("verbose", "v", "")
	run := &cobra.Command{Use: "run", RunE: func(*cobra.Command, []string) error { return nil }}
	run.Flags().IntP("n-gpu-layers", "", 0, "")
	run.Flags().StringP("prompt", "p", "", "")
	new(flashFlag).addFlag(run.Flags(), llama.FlashOff)
	train := &cobra.Command{Use: "train", RunE: run.RunE}
	train.Flags().Float64("learning-rate", 0, "")
	train.Flags().StringP("output", "o", "", "")
	train.Flags().IntP("ctx-size", "c", 0, "")
	prep := &cobra.Command{Use: "prep", RunE: run.RunE}
	prep.Flags().StringP("out", "o", "", "")
	prep.Flags().IntP("context", "c", 0, "")
	perf := &cobra.Command{Use: "perf", RunE: run.RunE}
	perf.Flags().VarP(&enumFlag{value: new(string)}, "output", "o", "")
	root.AddCommand(run, train, prep, perf)
	return root
}

func TestRewriteArgs(t *testing.T) {
	cases := []struct{ in, want string }{
		{"run -ngl 99", "run --n-gpu-layers 99"},
		{"run -ngl=99 -fa", "run --n-gpu-layers=99 --flash-attn"},
		{"run -p -ngl -ngl 1", "run -p -ngl --n-gpu-layers 1"},
		{"run -vp -ngl", "run -vp -ngl"},
		{"run -pv -ngl 1", "run -pv --n-gpu-layers 1"},
		{"run --prompt -fa", "run --prompt -fa"},
		{"run --prompt=x -fa", "run --prompt=x --flash-attn"},
		{"run -v -fa", "run -v --flash-attn"},
		{"run -fa -- -ngl", "run --flash-attn -- -ngl"},
		{"run -fa auto -fa on on", "run --flash-attn=auto --flash-attn=on on"},
		{"run --flash_attn off -v -fa 1st", "run --flash_attn=off -v --flash-attn 1st"},
		{"run -p -fa on -fa=off", "run -p -fa on --flash-attn=off"},
		{"train -lr 1e-4", "train --learning-rate 1e-4"},
		{"train --out x --context 9", "train --output x --ctx-size 9"},
		{"train --output x --ctx_size=9", "train --output x --ctx_size=9"},
		{"prep --output=x --ctx_size 9 -o --output", "prep --out=x --context 9 -o --output"},
		{"perf --out md", "perf --out md"},
		{"run --out x", "run --out x"},
		{"nonsense -ngl 1", "nonsense -ngl 1"},
		{"", ""},
	}
	for _, c := range cases {
		got, err := rewriteArgs(testTree(), strings.Fields(c.in))
		if err != nil || !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%q: got %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

func TestRewriteArgsRefuses(t *testing.T) {
	cases := []struct{ in, want string }{
		{"train -b 512", "training counts sequences"},
		{"train -ub 512", "training counts sequences"},
		{"train --batch_size=512", "training counts sequences"},
		{"train -ngl 1", "unknown flag: -ngl (qlora train has no --n-gpu-layers)"},
	}
	for _, c := range cases {
		_, err := rewriteArgs(testTree(), strings.Fields(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.in, err, c.want)
		}
		if exitCode(err) != 2 {
			t.Errorf("%q: exit code %d, want 2", c.in, exitCode(err))
		}
	}
}

func TestUnderscoresInLongFlags(t *testing.T) {
	root := testTree()
	root.SetArgs([]string{"train", "--learning_rate", "0.5"})
	cmd, err := root.ExecuteC()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := cmd.Flags().GetFloat64("learning-rate"); got != 0.5 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAliasesAreWellFormed(t *testing.T) {
	for short, long := range argvAliases {
		if len(short) < 3 || short[0] != '-' || short[1] == '-' {
			t.Errorf("%q: an alias is one dash and several letters", short)
		}
		if !strings.HasPrefix(long, "--") || strings.Contains(long, "_") {
			t.Errorf("%q stands for %q, which is no long flag", short, long)
		}
	}
}

// FuzzRewriteArgs holds rewriting to what it promises for any command line: no
// argument is lost, and only arguments that are aliases change.
func FuzzRewriteArgs(f *testing.F) {
	for _, seed := range []string{"run -ngl 99", "run -p -ngl x", "train -lr=1 -- -ngl", "-", "--", "run -\xff -p"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		in := strings.Split(line, " ")
		got, err := rewriteArgs(testTree(), slices.Clone(in))
		if err != nil {
			return
		}
		if len(got) != len(in) {
			t.Fatalf("%q became %q", in, got)
		}
		for i := range got {
			name, _, _ := strings.Cut(in[i], "=")
			if got[i] != in[i] && argvAliases[name] == "" {
				t.Errorf("%q became %q", in[i], got[i])
			}
		}
	})
}
