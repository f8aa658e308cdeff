package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ollama/ollama/parser"

	"github.com/qlora/qlora/internal/handover/peft"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/ui"
)

// adaptedLogits runs tokens through libllama with an adapter.
func adaptedLogits(t *testing.T, path, adapter string, tokens []int32) []float32 {
	t.Helper()
	m, err := llama.Load(path, llama.LoadOptions{MMap: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	a, err := m.LoadAdapter(adapter)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	c, err := m.NewContext(llama.ContextOptions{Ctx: 64, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetAdapters([]llama.AdapterScale{{Adapter: a, Scale: 1}}); err != nil {
		t.Fatal(err)
	}
	var b llama.Batch
	for i, token := range tokens {
		b.Add(token, int32(i), 0, true)
	}
	if err := c.Decode(b); err != nil {
		t.Fatal(err)
	}
	var out []float32
	for i := range tokens {
		out = append(out, c.Logits(i)...)
	}
	return out
}

// TestImportedAdaptersComputeAsInPEFT holds adapters that PEFT made to the
// logits that PEFT computed with them in PyTorch; benchmarks/handover.sh does
// the same with more of them, and has PEFT load ours. The files come from
// benchmarks/peers/handover_peft.py.
func TestImportedAdaptersComputeAsInPEFT(t *testing.T) {
	for _, arch := range []string{"llama", "qwen2"} {
		dir := filepath.Join("testdata", "handover", arch)
		base := filepath.Join("..", "engine", "testdata", arch+".gguf")
		out := filepath.Join(t.TempDir(), "new", "adapter.gguf") // the folder is made
		if _, errOut := mustRun(t, "import", filepath.Join(dir, peft.TensorFile), "--base", base, "--out", out); !strings.Contains(errOut, "taking the folder of") {
			t.Errorf("%s: a file of the folder is taken without a word: %s", arch, errOut)
		}
		var tokens []int32
		for field := range strings.FieldsSeq(string(readBytes(t, filepath.Join(dir, "tokens.txt")))) {
			var id int32
			if _, err := fmt.Sscan(field, &id); err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, id)
		}
		want := readBytes(t, filepath.Join(dir, "logits.f32"))
		got := adaptedLogits(t, base, out, tokens)
		if len(want) != 4*len(got) {
			t.Fatalf("%s: %d logits, want %d", arch, len(got), len(want)/4)
		}
		worst := 0.0
		for i := range got {
			worst = max(worst, math.Abs(float64(got[i]-math.Float32frombits(binary.LittleEndian.Uint32(want[4*i:])))))
		}
		if !(worst < 1e-3) {
			t.Errorf("%s: logits differ by up to %g", arch, worst)
		}
		back := filepath.Join(t.TempDir(), "back")
		mustRun(t, "export", "--to", "peft", out, "--base", base, "--out", back)
		again := filepath.Join(t.TempDir(), "again.gguf")
		mustRun(t, "import", back, "--base", base, "--out", again, "--name", arch)
		first, second := openGGUF(t, out), openGGUF(t, again)
		for _, ti := range first.Tensors() {
			other, ok := second.Tensor(ti.Name)
			if !ok || !bytes.Equal(first.Data(ti), second.Data(other)) {
				t.Errorf("%s: tensor %s is not the same after export and import", arch, ti.Name)
			}
		}
	}
}

// readModelfile reads a Modelfile as 'ollama create' does, the files it names
// included.
func readModelfile(t *testing.T, dir string) map[string][]string {
	t.Helper()
	f, err := parser.ParseFile(bytes.NewReader(readBytes(t, filepath.Join(dir, "Modelfile"))))
	if err != nil {
		t.Fatal(err)
	}
	request, err := f.CreateRequest(dir)
	if err != nil || len(request.Files) != 1 {
		t.Fatalf("Ollama finds the files %v: %v", request, err)
	}
	found := map[string][]string{}
	for _, c := range f.Commands {
		found[c.Name] = append(found[c.Name], c.Args)
	}
	return found
}

func TestExportToOllama(t *testing.T) {
	base, adapter, merged := mergeFiles(t, llamatest.Options{ChatTemplate: llamatest.ChatML})
	out := filepath.Join(t.TempDir(), "with space")
	stdout, errOut := mustRun(t, "export", "--to", "ollama", adapter, "--base", base, "--out", out, "--system", `Say "hi".`, "--json")
	m := readModelfile(t, out)
	for name, want := range map[string]string{"model": "./base.gguf", "adapter": "./adapter.gguf", "system": `Say "hi".`, "temperature": "0.7",
		"stop": "<|im_start|> <|im_end|> <|endoftext|>"} {
		if got := strings.Join(m[name], " "); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if len(m["template"]) != 1 || !strings.Contains(m["template"][0], ".Suffix") {
		t.Errorf("no form for gaps in the template %q", m["template"])
	}
	if !strings.Contains(errOut, "licence") || !strings.Contains(stdout, `"template_family":"ChatML"`) {
		t.Errorf("%s\n%s", stdout, errOut)
	}
	if !bytes.Equal(readBytes(t, filepath.Join(out, "adapter.gguf")), readBytes(t, adapter)) || !bytes.Equal(readBytes(t, filepath.Join(out, "base.gguf")), readBytes(t, base)) {
		t.Error("the files are not copies")
	}
	if text := string(readBytes(t, filepath.Join(out, "README.md"))); strings.Contains(text, filepath.Dir(base)) || !strings.Contains(text, "ollama create") {
		t.Errorf("the card:\n%s", text)
	}
	merged = filepath.Join(filepath.Dir(merged), "new", "out.gguf") // the folder is made
	mustRun(t, "merge", "-m", base, "--lora", adapter, "-o", merged)
	out = filepath.Join(t.TempDir(), "merged")
	mustRun(t, "export", "--to", "ollama", merged, "--out", out, "--link", "--num-ctx", "99", "--license", "mine alone", "--stop", "x", "--no-system", "--temperature", "0")
	m = readModelfile(t, out)
	if fmt.Sprint(m["adapter"], m["num_ctx"], m["license"], m["stop"], m["system"], m["temperature"]) != "[] [99] [mine alone] [x] [] [0]" {
		t.Errorf("%v", m)
	}
	a, _ := os.Stat(merged)
	if b, err := os.Stat(filepath.Join(out, "out.gguf")); err != nil || !os.SameFile(a, b) {
		t.Errorf("not linked: %v", err)
	}
}

// TestExportTellsOfTools: what the model's own template writes of tools and
// the Modelfile does not is told, and so is a day that stands still.
func TestExportTellsOfTools(t *testing.T) {
	const tools = "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
	llama31 := string(readBytes(t, "../dataset/testdata/templates/llama3.1.jinja"))
	for _, c := range []struct{ chat, say, event string }{
		{llamatest.ChatML, "", `"template_tools":false`},
		{tools + llamatest.ChatML, "they are left out", `"template_tools":false`},
		{tools + "### Instruction: {{ messages[0].content }}", "tools are left out", `"template_tools":false`},
		{llama31, "", `"template_tools":true`},
		{strings.Replace(llama31, `"26 Jul 2024"`, `strftime_now("%d %b %Y")`, 1), "says 26 Jul 2024 for ever", `"template_tools":true`},
	} {
		base, adapter, _ := mergeFiles(t, llamatest.Options{ChatTemplate: c.chat})
		stdout, errOut := mustRun(t, "export", "--to", "ollama", adapter, "--base", base, "--out", filepath.Join(t.TempDir(), "o"), "--license", "mine", "--json")
		if !strings.Contains(errOut, c.say) || (c.say == "") == strings.Contains(errOut, "warning:") || !strings.Contains(stdout, c.event) {
			t.Errorf("%.60q: %s\n%s", c.chat, errOut, stdout)
		}
	}
}

func TestExportRefuses(t *testing.T) {
	base, adapter, merged := mergeFiles(t, llamatest.Options{})
	other, _, _ := mergeFiles(t, llamatest.Options{Layers: 1})
	mustRun(t, "merge", "-m", base, "--lora", adapter, "-o", merged)
	dir := t.TempDir()
	occupied := filepath.Dir(base)
	fresh := filepath.Join(dir, "new")
	half := filepath.Join(t.TempDir(), "half.gotmpl")
	putText(t, half, "{{ .Prompt")
	for _, c := range []struct {
		code int
		say  string
		args []string
	}{
		{ui.ExitUsage, "--to", []string{adapter, "--out", fresh}},
		{ui.ExitUsage, "--base", []string{"--to", "ollama", adapter, "--out", fresh}},
		{ui.ExitUsage, "--stop is empty", []string{"--to", "ollama", merged, "--out", fresh, "--stop", ""}},
		{ui.ExitUsage, "not empty", []string{"--to", "ollama", adapter, "--base", base, "--out", occupied}},
		{ui.ExitUsage, "whole model", []string{"--to", "peft", merged, "--out", fresh}},
		{ui.ExitUsage, "leave --base out", []string{"--to", "ollama", merged, "--base", base, "--out", fresh}},
		{ui.ExitUsage, "U+0007", []string{"--to", "ollama", merged, "--out", fresh, "--system", "bell\a"}},
		{ui.ExitUsage, "unclosed action", []string{"--to", "ollama", merged, "--out", fresh, "--template", half}},
		{ui.ExitUsage, "template", []string{"--to", "ollama", merged, "--out", fresh, "--template", "nowhere"}},
		{ui.ExitUsage, "--dtype is for --to peft", []string{"--to", "ollama", merged, "--out", fresh, "--dtype", "f16"}},
		{ui.ExitUsage, "--link is for --to ollama", []string{"--to", "peft", adapter, "--base", base, "--out", fresh, "--link"}},
		{ui.ExitInvalid, "does not fit", []string{"--to", "peft", adapter, "--base", other, "--out", fresh}},
		{ui.ExitInvalid, "is an adapter", []string{"--to", "peft", adapter, "--base", adapter, "--out", fresh}},
		{ui.ExitInvalid, "no such file", []string{"--to", "peft", filepath.Join(dir, "none.gguf"), "--base", base, "--out", fresh}},
	} {
		code, out, errOut := call(append([]string{"export"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.say) || !strings.Contains(errOut, "hint:") {
			t.Errorf("%q: exit code %d, want %d with %q\n%s%s", c.args, code, c.code, c.say, out, errOut)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Fatalf("%q left %v", c.args, left)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	base := filepath.Join("..", "engine", "testdata", "llama.gguf")
	good := filepath.Join("testdata", "handover", "llama")
	_, adapter, _ := mergeFiles(t, llamatest.Options{})
	dir := t.TempDir()
	out := filepath.Join(dir, "a.gguf")
	dora := filepath.Join(dir, "dora")
	if err := os.CopyFS(dora, os.DirFS(good)); err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	path := filepath.Join(dora, peft.ConfigFile)
	if err := json.Unmarshal(readBytes(t, path), &c); err != nil {
		t.Fatal(err)
	}
	c["use_dora"] = true
	text, _ := json.Marshal(c)
	putText(t, path, string(text))
	empty := filepath.Join(dir, "empty")
	if err := os.CopyFS(empty, os.DirFS(good)); err != nil {
		t.Fatal(err)
	}
	putText(t, filepath.Join(empty, peft.TensorFile), "")
	for _, c := range []struct {
		code int
		say  string
		args []string
	}{
		{ui.ExitInvalid, "not a safetensors file: it has 0 bytes", []string{empty, "--base", base, "--out", out}},
		{ui.ExitInvalid, "hint: name a PEFT folder", []string{filepath.Join(good, "tokens.txt"), "--base", base, "--out", out}},
		{ui.ExitUsage, "--base", []string{good, "--out", out}},
		{ui.ExitUsage, "exists", []string{good, "--base", base, "--out", base}},
		{ui.ExitInvalid, "use_dora", []string{dora, "--base", base, "--out", out}},
		{ui.ExitInvalid, "does not fit", []string{good, "--base", filepath.Join("..", "engine", "testdata", "qwen3.gguf"), "--out", out}},
		{ui.ExitInvalid, "adapter_config.json", []string{dir, "--base", base, "--out", out}},
		{ui.ExitInvalid, "is an adapter", []string{good, "--base", adapter, "--out", out}},
	} {
		code, _, errOut := call(append([]string{"import"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.say) {
			t.Errorf("%q: exit code %d, want %d with %q\n%s", c.args, code, c.code, c.say, errOut)
		}
		if exists(out) {
			t.Fatalf("%q wrote %s", c.args, out)
		}
	}
}

func TestTrainWritesACard(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "2", "--eval-every", "1")...)
	text := string(readBytes(t, "outputs/mine/README.md"))
	for _, want := range []string{"# mine\n", "| train.jsonl | training | 1 | 24 | 24 |", "| eval.jsonl | evaluation |", "| rank | 4 |", "evaluation loss after"} {
		if !strings.Contains(text, want) {
			t.Errorf("the card does not say %q:\n%s", want, text)
		}
	}
	mustRun(t, "export", "--to", "peft", "outputs/mine", "--out", "peft", "--base-name", "org/base")
	exported := string(readBytes(t, "peft/README.md"))
	if !strings.Contains(exported, `from_pretrained("org/base")`) || !strings.Contains(exported, "evaluation loss after") || !strings.Contains(exported, "| train.jsonl | training | 1 | 24 | 24 |") {
		t.Errorf("the exported card:\n%s", exported)
	}
	var c peft.Config
	if err := json.Unmarshal(readBytes(t, "peft/adapter_config.json"), &c); err != nil || c.Base != "org/base" || c.Dropout != 0.1 || c.Rank != 4 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestCardsSayWhatIsTrue: a model that merely lies in a run's folder is not what
// the run made, and the best weights have the best evaluation's figures.
func TestCardsSayWhatIsTrue(t *testing.T) {
	tinyRun(t)
	mustRun(t, tinyArgs("--name", "mine", "--max-steps", "4", "--eval-every", "2")...)
	var m trainSummary
	if err := json.Unmarshal(readBytes(t, "outputs/mine/summary.json"), &m); err != nil {
		t.Fatal(err)
	}
	best, last := 1.25, 2.5
	m.Steps, m.BestStep, m.EvalLoss, m.BestEvalLoss = 4, 2, &last, &best
	if err := writeSummary("outputs/mine/summary.json", m); err != nil {
		t.Fatal(err)
	}
	putText(t, "outputs/mine/adapter-best.gguf", string(readBytes(t, "outputs/mine/adapter.gguf")))
	putText(t, "outputs/mine/base.gguf", string(readBytes(t, "base.gguf")))
	for _, c := range []struct{ to, file, has, hasNot string }{
		{"peft", "adapter-best.gguf", "value: 1.25", "2.5000"},
		{"peft", "adapter-best.gguf", "| steps | 2 of 4, the best by evaluation |", "trained tokens | "},
		{"peft", "adapter.gguf", "value: 2.5", "value: 1.25"},
		{"ollama", "base.gguf", "A model of the", "was trained"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		mustRun(t, "export", "--to", c.to, filepath.Join("outputs/mine", c.file), "--out", out)
		card, _, _ := strings.Cut(string(readBytes(t, filepath.Join(out, "README.md"))), "## Data")
		if c.to == "peft" {
			whole := string(readBytes(t, filepath.Join(out, "README.md")))
			_, results, _ := strings.Cut(whole, "## Results")
			card += results
		}
		if !strings.Contains(card, c.has) || strings.Contains(card, c.hasNot) {
			t.Errorf("%s of %s, want %q and not %q:\n%s", c.to, c.file, c.has, c.hasNot, card)
		}
	}
}
