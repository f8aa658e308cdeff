package newmodel

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/bpe"
	"github.com/qlora/qlora/internal/gguf"
)

// testVocab is a small vocabulary trained on this package's own source.
func testVocab(t *testing.T) *bpe.Vocab {
	t.Helper()
	tr := bpe.NewTrainer()
	if err := AddText(tr, ".", &Source{}); err != nil {
		t.Fatal(err)
	}
	v, err := tr.Train(512, Specials())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func testConfig(t *testing.T) Config {
	return Config{
		Shape: Shape{Embd: 64, FFN: 128, Layers: 2, Heads: 4, KVHeads: 2, Context: 128, Rope: 10000, Eps: 1e-5},
		Init:  DefaultInit(), Vocab: testVocab(t), Name: "test", License: "MIT",
	}
}

func writeTest(t *testing.T, c Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init.gguf")
	if _, err := Write(path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWriteHoldsWhatWasAsked(t *testing.T) {
	c := testConfig(t)
	f, err := gguf.Open(writeTest(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := len(f.Tensors()); n != 1+2*9+2 {
		t.Errorf("%d tensors", n)
	}
	kv, _ := f.Tensor("blk.1.attn_k.weight")
	if len(kv.Dims) != 2 || kv.Dims[0] != 64 || kv.Dims[1] != 32 {
		t.Errorf("attn_k has dimensions %v, want 64 x 32", kv.Dims)
	}
	down, _ := f.Tensor("blk.0.ffn_down.weight")
	if down.Dims[0] != 128 || down.Dims[1] != 64 {
		t.Errorf("ffn_down has dimensions %v, want 128 x 64", down.Dims)
	}
	for key, want := range map[string]uint64{"llama.block_count": 2, "llama.rope.dimension_count": 16, "tokenizer.ggml.fim_pre_token_id": 512 - 6} {
		if got, ok := f.Uint(key); !ok || got != want {
			t.Errorf("%s = %d, %v, want %d", key, got, ok, want)
		}
	}
	if tokens, _ := f.Strings("tokenizer.ggml.tokens"); len(tokens) != 512 || tokens[512-9] != EndOfText {
		t.Errorf("%d tokens", len(tokens))
	}
}

func TestInitialDeviations(t *testing.T) {
	c := testConfig(t)
	f, err := gguf.Open(writeTest(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]float64{
		"token_embd.weight": 0.05, "blk.0.attn_q.weight": 0.1, "blk.0.attn_v.weight": 0.05, "output.weight": 0.05,
		"blk.0.attn_output.weight": 0.025, "blk.1.ffn_down.weight": 0.025, "blk.0.attn_norm.weight": 1,
	} {
		info, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		if got := rms(f.Data(info)); math.Abs(got-want) > 0.03*want {
			t.Errorf("%s has root mean square %.4f, want %.4f", name, got, want)
		}
	}
}

func rms(data []byte) float64 {
	sum := 0.0
	for i := 0; i < len(data); i += 4 {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(data)/4))
}

func TestWriteIsDeterministic(t *testing.T) {
	c := testConfig(t)
	read := func(c Config) string {
		b, err := os.ReadFile(writeTest(t, c))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	first := read(c)
	if read(c) != first {
		t.Error("the same configuration gave two different files")
	}
	c.Init.Seed++
	if read(c) == first {
		t.Error("another seed gave the same file")
	}
}

func TestTiedModelHasNoHead(t *testing.T) {
	c := testConfig(t)
	c.Shape.Tied = true
	f, err := gguf.Open(writeTest(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, ok := f.Tensor("output.weight"); ok {
		t.Error("a tied model owns an output.weight")
	}
}

func TestParseShape(t *testing.T) {
	s, err := ParseShape("embd=128,ffn=256,layers=3,heads=8,kv_heads=4,tied=true,rope=5000")
	want := Shape{Embd: 128, FFN: 256, Layers: 3, Heads: 8, KVHeads: 4, Context: 1024, Rope: 5000, Eps: 1e-5, Tied: true}
	if err != nil || s != want {
		t.Errorf("got %+v, %v", s, err)
	}
	for list, says := range map[string]string{
		"width=3": "unknown shape item", "embd": "name=value", "embd=x": "embd=x", "embd=100,heads=3": "cannot be divided",
		"heads=4,kv-heads=3": "share kv-heads", "layers=0": "out of range", "embd=12,heads=4,kv-heads=4": "odd width", "rope=0": "rope",
		"eps=1": "eps", "ffn=99999999": "out of range", "rope=NaN": "rope",
	} {
		if _, err := ParseShape(list); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("ParseShape(%q) = %v, want an error that says %q", list, err, says)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	for says, change := range map[string]func(*Config){
		"vocabulary":     func(c *Config) { c.Vocab = nil },
		"init-std":       func(c *Config) { c.Init.Std = 0 },
		"<|fim_prefix|>": func(c *Config) { c.Vocab.Specials[3] = "<|other|>" },
		"embd":           func(c *Config) { c.Shape.Embd = 0 },
	} {
		c := testConfig(t)
		change(&c)
		if _, err := Write(path, c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file was left behind", says)
		}
	}
}

func TestAddText(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.txt", "hello")
	write("sub/b.go", "world")
	write("bin", "\x7fELF\x00")
	write(".git/config", "hidden")
	tr, count := bpe.NewTrainer(), Source{}
	if err := AddText(tr, dir, &count); err != nil {
		t.Fatal(err)
	}
	if count != (Source{Files: 2, Skipped: 1}) || tr.Bytes() != 10 {
		t.Errorf("counted %+v and %d bytes", count, tr.Bytes())
	}
	if err := AddText(tr, filepath.Join(dir, "bin"), &count); err == nil || !strings.Contains(err.Error(), "bin is not UTF-8 text") {
		t.Errorf("a binary file named directly: %v", err)
	}
	if err := AddText(tr, filepath.Join(dir, "none"), &count); err == nil {
		t.Error("a missing file was accepted")
	}
}
