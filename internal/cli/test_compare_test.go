package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/embedded"
	"github.com/qlora/qlora/internal/evaluate"
	"github.com/qlora/qlora/internal/evaluate/comparison"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/ui"
)

// compareRun puts the embedded model, chats and gaps into a new working
// directory, and trains an adapter on them that helps.
func compareRun(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := embedded.Extract("base.gguf"); err != nil {
		t.Fatal(err)
	}
	var data strings.Builder
	for i := range 20 {
		fmt.Fprintf(&data, `{"messages":[{"role":"user","content":"Which colour has part %d?"},{"role":"assistant","content":"Part %d is painted dark green."}]}`+"\n", i, i)
		fmt.Fprintf(&data, `{"prefix":"func add%d(a, b int) int {\n\treturn ","middle":"a + b","suffix":"\n}\n","lang":"go"}`+"\n", i)
		fmt.Fprintf(&data, `{"prefix":"def add%d(a, b):\n    return ","middle":"a + b","suffix":"\n","path":"add.py"}`+"\n", i)
	}
	putText(t, "train.jsonl", data.String())
	putText(t, "eval.jsonl", strings.ReplaceAll(strings.Join(strings.SplitAfter(data.String(), "\n")[:12], ""), "part", "piece"))
	putText(t, "general.txt", strings.Join(strings.SplitAfter(evaluate.GeneralText, "\n\n")[:3], ""))
	mustRun(t, strings.Fields("train -m base.gguf -d train.jsonl -c 64 --name good --rank 4 --max-steps 8 -lr 0.01 --micro-batch-size 4 --grad-accum 1 -t 1 --seed 3 --pack=false --device cpu")...)
}

func compareArgs(more ...string) []string {
	args := strings.Fields("test compare -m base.gguf --data eval.jsonl -n 12 --fim-samples 5 --generations 1 -t 1 --resamples 500 --general general.txt --device cpu --json")
	return append(args, more...)
}

// summaryOf is the last line of JSON output.
func summaryOf(t *testing.T, out string) (r comparison.Report) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCompareTellsWhatHelped(t *testing.T) {
	compareRun(t)
	mustRun(t, "merge", "-m", "base.gguf", "--lora", "outputs/good/adapter.gguf", "-o", "merged.gguf", "--type", "f32")
	args := compareArgs("--lora", "outputs/good/adapter.gguf,outputs/good/adapter.gguf:0", "--merged", "merged.gguf", "--report", "r.html", "--answers", "a.html")
	out, errOut := mustRun(t, args...)
	r := summaryOf(t, out)
	if r.Samples != 12 || r.Tokens == 0 || len(r.Variants) != 3 || r.Base.FIM == nil || r.Base.FIM.Gaps != 5 || len(r.Prompts) != 1 {
		t.Fatalf("%d samples, %d tokens, %d variants, gaps %+v\n%s", r.Samples, r.Tokens, len(r.Variants), r.Base.FIM, errOut)
	}
	good, nothing, merged := r.Variants[0], r.Variants[1], r.Variants[2]
	if good.Name != "good" || nothing.Name != "good:0" || merged.Name != "merged" {
		t.Errorf("names %q, %q, %q", good.Name, nothing.Name, merged.Name)
	}
	if good.Verdict != comparison.Helped || nothing.Verdict != comparison.Unclear {
		t.Errorf("verdicts:\n%s\n%s", good.Sentence, nothing.Sentence)
	}
	if d := nothing.LossDifference; d.Mean != 0 || nothing.KL.Mean != 0 || *nothing.SameTop != 1 || nothing.Ties != 1 {
		t.Errorf("an adapter of scale 0: %+v, KL %+v", d, nothing.KL)
	}
	if !(good.KL.Mean > 0) || math.Abs(good.Loss-merged.Loss) > 0.02 || math.Abs(good.KL.Mean-merged.KL.Mean) > 0.05*good.KL.Mean {
		t.Errorf("applied and merged: loss %g and %g, KL %g and %g", good.Loss, merged.Loss, good.KL.Mean, merged.KL.Mean)
	}
	if l := good.FIM.Languages; len(l) != 2 || l[0].Name != "go" || l[1].Name != "py" {
		t.Errorf("languages %+v", l)
	}
	for _, path := range []string{"r.html", "a.html"} {
		if text := string(readBytes(t, path)); !strings.Contains(text, "Which colour has piece") || strings.Contains(text, "http") {
			t.Errorf("%s:\n%s", path, text)
		}
	}
	out, _ = mustRun(t, compareArgs("--lora", "outputs/good/adapter.gguf")...)
	first, _ := json.Marshal(good)
	if again, _ := json.Marshal(summaryOf(t, out).Variants[0]); !bytes.Equal(first, again) {
		t.Errorf("a second run gave other figures:\n%s\n%s", first, again)
	}
	baseline, _ := mustRun(t, strings.Fields("test baseline -m base.gguf --data eval.jsonl --fim-samples 5 --generations 0 -t 1 --device cpu --json --lora outputs/good/adapter.gguf")...)
	var b struct{ Base, Adapter baselineResult }
	lines := strings.Split(strings.TrimSpace(baseline), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &b); err != nil {
		t.Fatal(err)
	}
	if math.Abs(b.Base.Loss-r.Base.Loss) > 1e-9 || math.Abs(b.Adapter.Loss-good.Loss) > 1e-9 || b.Adapter.FIM.ExactMatch != good.FIM.ExactMatch {
		t.Errorf("baseline says %+v and %+v", b.Base, b.Adapter)
	}
}

func TestCompareInWords(t *testing.T) {
	tinyRun(t)
	llamatest.Adapter(t, "a.gguf", llamatest.Options{Seed: 3}, llamatest.AdapterOptions{})
	putText(t, "general.txt", "one passage\n\nand another\n")
	out, errOut := mustRun(t, "test", "compare", "-m", "base.gguf", "--lora", "a.gguf,a.gguf", "--merged", "base.gguf", "--data", "eval.jsonl", "-n", "4", "-t", "1", "--general", "general.txt", "--device", "cpu")
	if n := strings.Count(errOut, "computing on the CPU"); n != 1 {
		t.Errorf("the device is told %d times", n)
	}
	if strings.Contains(out, "gaps filled exactly") {
		t.Errorf("a row for gaps, of which there are none:\n%s", out)
	}
	for _, want := range []string{"\nbase ", "\na ", "\na#2 ", "against the base (95 % intervals)", "KL divergence on general text", "same likeliest token there", "samples with a lower loss", "  data ", "KL divergence from the base", "The adapter a ", "over 6 samples"} {
		if !strings.Contains("\n"+out, want) && !strings.Contains(out, "the adapter a helped") {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestCommandLine(t *testing.T) {
	if got, want := commandLine([]string{"test", "-m", "a.gguf:0.5", "--data", "it's here"}), `qlora test -m a.gguf:0.5 --data 'it'\''s here'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPromptsOnTheTerminal(t *testing.T) {
	s, out, _ := ui.Test()
	printPrompt(s, comparison.Prompt{Where: "a:1", Prompt: "p", Reference: strings.Repeat("é", 1500), Answers: []comparison.Reply{
		{Name: "base", Text: "b"}, {Name: "x", Text: "c", Against: comparison.Nearer}, {Name: "longer", Text: "d\nmore", Against: comparison.Farther}, {Name: "z", Text: "e", Against: comparison.Alike}}})
	for _, want := range []string{"  x (wins) c\n", "  longer (loses)\n           d\n           more\n", "  z (ties) e\n", strings.Repeat("é", 400) + "\n           [... 1,100 more characters, in --report and --json]"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestCompareRefuses(t *testing.T) {
	tinyRun(t)
	llamatest.Adapter(t, "a.gguf", llamatest.Options{Seed: 3}, llamatest.AdapterOptions{})
	if err := embedded.Extract("other.gguf"); err != nil {
		t.Fatal(err)
	}
	putText(t, "broken.jsonl", `{"text":"this is fine"}`+"\n"+`{"text":`+"\n")
	putText(t, "empty.txt", "\n\n")
	if err := errors.Join(os.Symlink("eval.jsonl", "link.html"), os.Link("empty.txt", "hard.html")); err != nil {
		t.Fatal(err)
	}
	const all = "test compare -m base.gguf --device cpu -t 1 -n 2 --data "
	for args, want := range map[string]struct {
		code int
		say  string
	}{
		all + "eval.jsonl": {ui.ExitUsage, "nothing to compare"},
		all + "eval.jsonl --lora a.gguf --resamples 3":                          {ui.ExitUsage, "--resamples"},
		all + "eval.jsonl --lora a.gguf --confidence 95":                        {ui.ExitUsage, "--confidence"},
		all + "eval.jsonl --merged other.gguf":                                  {ui.ExitInvalid, "another vocabulary"},
		all + "eval.jsonl --lora a.gguf --general none.txt":                     {ui.ExitInvalid, "none.txt"},
		all + "eval.jsonl --lora a.gguf --general empty.txt":                    {ui.ExitInvalid, "no passage"},
		all + "broken.jsonl --lora a.gguf":                                      {ui.ExitInvalid, "broken.jsonl:2"},
		all + "broken.jsonl --lora a.gguf --skip-invalid -q":                    {ui.ExitSkipped, "skipped 1"},
		all + "eval.jsonl --merged a.gguf":                                      {ui.ExitInvalid, "hint: compare an adapter with --lora a.gguf"},
		"test compare --lora a.gguf --data eval.jsonl":                          {ui.ExitUsage, "no model given"},
		"test compare -m base.gguf --lora a.gguf":                               {ui.ExitUsage, "no data given"},
		all + "eval.jsonl --lora a.gguf --report none/r.html":                   {ui.ExitUsage, "none/r.html"},
		all + "eval.jsonl --lora a.gguf --answers .":                            {ui.ExitUsage, "is a folder"},
		all + "eval.jsonl --lora a.gguf --report r.html --answers ./r.html":     {ui.ExitUsage, "same file"},
		all + "eval.jsonl --lora a.gguf --report r.txt":                         {ui.ExitUsage, "must end in .html"},
		all + "eval.jsonl --lora a.gguf --answers r.html --generations 0":       {ui.ExitUsage, "--generations 0"},
		all + "eval.jsonl --lora a.gguf --report base.gguf":                     {ui.ExitUsage, "the same file as the input base.gguf"},
		all + "eval.jsonl --lora a.gguf:0.5 --answers ./a.gguf":                 {ui.ExitUsage, "the same file as the input a.gguf"},
		all + "eval.jsonl --merged base.gguf --report link.html":                {ui.ExitUsage, "the same file as the input eval.jsonl"},
		all + "eval.jsonl --lora a.gguf --general hard.html --report hard.html": {ui.ExitUsage, "the same file as the input hard.html"},
	} {
		code, _, errOut := call(strings.Fields(args)...)
		if code != want.code || !strings.Contains(errOut, want.say) {
			t.Errorf("%s: exit code %d, want %d with %q\n%s", args, code, want.code, want.say, errOut)
		}
		if want.code == ui.ExitUsage && strings.Contains(errOut, "\ndata: ") {
			t.Errorf("%s: the data was read before the options were checked:\n%s", args, errOut)
		}
	}
	if _, err := os.Stat("r.html"); err == nil {
		t.Error("a page was written")
	}
}

// TestComparisonOutlivesItsPage: what took hours to measure is printed even when
// the page cannot be written any more.
func TestComparisonOutlivesItsPage(t *testing.T) {
	sample := comparison.Measured{Name: "base", Kind: comparison.Base, Samples: []comparison.Sample{{Where: "a:1", Tokens: 1, Bytes: 1, Nats: 1}}}
	variant := sample
	variant.Name, variant.Kind = "mine", comparison.Adapter
	report, err := comparison.Compare(sample, []comparison.Measured{variant}, comparison.Options{Resamples: 100, Level: 0.95})
	if err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(t.TempDir(), "gone", "r.html")
	for _, asJSON := range []bool{false, true} {
		var out, errOut bytes.Buffer
		s := &ui.Streams{Out: &out, Err: &errOut, JSON: asJSON}
		o := compareOptions{report: gone}
		if err := o.write(s, report, 0); err == nil || !strings.Contains(err.Error(), gone) {
			t.Errorf("json %v: %v", asJSON, err)
		}
		if !strings.Contains(out.String(), "whether the adapter mine helped") || strings.Contains(out.String(), gone) {
			t.Errorf("json %v:\n%s", asJSON, out.String())
		}
	}
}
