package peft_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover"
	"github.com/qlora/qlora/internal/handover/peft"
	"github.com/qlora/qlora/internal/handover/safetensors"
	"github.com/qlora/qlora/internal/lora"
)

func model(t *testing.T, arch string) *gguf.File {
	t.Helper()
	f, err := gguf.Open("../../engine/testdata/" + arch + ".gguf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// adapter writes one with random values on the tensors that target chooses;
// ranks alternate when they are two.
func adapter(t *testing.T, base *gguf.File, seed uint64, target string, alpha float64, ranks ...int) *lora.AdapterFile {
	t.Helper()
	infos, err := lora.Targets(lora.Config{Target: target}, base)
	if err != nil {
		t.Fatal(err)
	}
	arch, _ := base.String("general.architecture")
	a := &lora.Adapter{Arch: arch, Alpha: alpha}
	rng := rand.New(rand.NewPCG(seed, 0))
	for i, info := range infos {
		p := lora.Pair{Base: info.Name, Rank: ranks[i%len(ranks)], NIn: info.Dims[0], NOut: info.Dims[1]}
		p.A, p.B = make([]float32, p.NIn*int64(p.Rank)), make([]float32, p.NOut*int64(p.Rank))
		for _, values := range [][]float32{p.A, p.B} {
			for j := range values {
				values[j] = float32(rng.NormFloat64())
			}
		}
		a.Pairs = append(a.Pairs, p)
	}
	path := filepath.Join(t.TempDir(), "a.gguf")
	if err := lora.WriteAdapter(path, a, base); err != nil {
		t.Fatal(err)
	}
	f, err := lora.OpenAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func export(t *testing.T, a *lora.AdapterFile, base *gguf.File, o peft.Options) (string, *peft.Config) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "peft")
	folder, err := handover.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Abort()
	c, err := peft.Export(folder, a, base, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.Commit(); err != nil {
		t.Fatal(err)
	}
	return dir, c
}

func TestRoundTrip(t *testing.T) {
	const seed = 5
	for _, arch := range []string{"llama", "qwen2", "qwen3"} {
		for _, c := range []struct {
			alpha float64
			ranks []int
		}{{8, []int{4}}, {8, []int{2, 3, 2}}, {0, []int{3}}, {0, []int{2, 5}}} {
			base := model(t, arch)
			a := adapter(t, base, seed, "all", c.alpha, c.ranks...)
			dir, _ := export(t, a, base, peft.Options{Base: "org/name", Type: safetensors.F32})
			back, config, err := peft.Import(dir, base)
			if err != nil {
				t.Fatal(err)
			}
			if config.Base != "org/name" || len(back.Pairs) != len(a.Pairs) {
				t.Errorf("%s: base %q, %d pairs", arch, config.Base, len(back.Pairs))
			}
			for i, got := range back.Pairs {
				want, err := a.Load(a.Pairs[i])
				if err != nil || got.Base != want.Base || got.Rank != want.Rank || !slices.Equal(got.A, want.A) {
					t.Fatalf("seed %d, %s: pair %s of rank %d, want %s of rank %d (%v)", seed, arch, got.Base, got.Rank, want.Base, want.Rank, err)
				}
				ours, theirs := a.Scale(want), back.Scale(got)
				for j := range got.B {
					if d := math.Abs(float64(got.B[j])*theirs - float64(want.B[j])*ours); d > 1e-5 {
						t.Fatalf("seed %d, %s: %s: scaled B[%d] differs by %g", seed, arch, got.Base, j, d)
					}
				}
			}
		}
	}
}

func TestNamesAndRows(t *testing.T) {
	for arch, swapped := range map[string]bool{"llama": true, "qwen2": false} {
		base := model(t, arch)
		a := adapter(t, base, 1, "attn_q,ffn_down", 8, 2)
		dir, _ := export(t, a, base, peft.Options{Type: safetensors.F32})
		f, err := safetensors.Open(filepath.Join(dir, peft.TensorFile))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		shapes := map[string][]int64{}
		values := map[string][]float32{}
		for _, info := range f.Tensors {
			shapes[info.Name] = info.Shape
			values[info.Name], _ = f.Values(info)
		}
		if want := []int64{2, 96}; len(f.Tensors) != 8 || !slices.Equal(shapes["base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"], want) {
			t.Errorf("%s: shapes %v", arch, shapes)
		}
		p, _ := a.Load(a.Pairs[0])
		got := values["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"]
		// rows 0, 1, 2 of a head in ggml's order are 0, half, 1 of transformers'
		heads, _ := base.Uint(arch + ".attention.head_count")
		half := int(p.NOut) / int(heads) / 2
		for from, to := range map[int]int{0: 0, 1: half, 2: 1, 2 * half: 2 * half, 2*half + 1: 3 * half} {
			if !swapped {
				to = from
			}
			if !slices.Equal(got[2*to:2*to+2], p.B[2*from:2*from+2]) {
				t.Errorf("%s: row %d of q is not row %d of ours", arch, to, from)
			}
		}
	}
}

func TestConfigOfTargets(t *testing.T) {
	base := model(t, "llama")
	_, c := export(t, adapter(t, base, 1, "attn_q,ffn_down", 8, 2), base, peft.Options{Type: safetensors.F32})
	if got, _ := c.Targets.([]string); !slices.Equal(got, []string{"down_proj", "q_proj"}) || c.Rank != 2 || c.Alpha != 8 {
		t.Errorf("adapted in every block: %+v", c)
	}
	_, c = export(t, adapter(t, base, 1, `blk\.1\.attn_v`, 8, 2), base, peft.Options{Type: safetensors.F32})
	if got, _ := c.Targets.([]string); !slices.Equal(got, []string{"model.layers.1.self_attn.v_proj"}) {
		t.Errorf("adapted in one block: %+v", c)
	}
	_, c = export(t, adapter(t, base, 1, "output,attn_v", 8, 2), base, peft.Options{Type: safetensors.F32})
	if got, _ := c.Targets.([]string); !slices.Equal(got, []string{"lm_head", "v_proj"}) {
		t.Errorf("with the head: %+v", c)
	}
}

// edited is a good PEFT folder whose settings were changed.
func edited(t *testing.T, base *gguf.File, change map[string]any) string {
	t.Helper()
	dir, _ := export(t, adapter(t, base, 1, "attn", 8, 2), base, peft.Options{Type: safetensors.F32})
	path := filepath.Join(dir, peft.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	for key, value := range change {
		c[key] = value
	}
	text, _ = json.Marshal(c)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestImportRefusesByName(t *testing.T) {
	base := model(t, "llama")
	for _, c := range []struct {
		key   string
		value any
	}{
		{"peft_type", "LOHA"}, {"use_dora", true}, {"bias", "lora_only"}, {"modules_to_save", []string{"lm_head"}}, {"fan_in_fan_out", true}, {"lora_bias", true},
		{"init_lora_weights", "pissa_niter_4"}, {"layer_replication", []any{[]int{0, 1}}}, {"target_parameters", []string{"x"}},
		{"trainable_token_indices", []int{1}}, {"alora_invocation_tokens", []int{1}}, {"use_qalora", true},
	} {
		_, _, err := peft.Import(edited(t, base, map[string]any{c.key: c.value}), base)
		var what *peft.UnsupportedError
		if !errors.As(err, &what) || !strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: %v", c.key, err)
		}
	}
	for key, value := range map[string]any{"r": 3, "rank_pattern": map[string]int{"q_proj": 5}, "lora_alpha": -1} {
		if _, _, err := peft.Import(edited(t, base, map[string]any{key: value}), base); err == nil {
			t.Errorf("%s %v was taken", key, value)
		}
	}
	var mismatch *lora.MismatchError
	if _, _, err := peft.Import(edited(t, base, nil), model(t, "qwen3")); !errors.As(err, &mismatch) {
		t.Errorf("for another base: %v", err)
	}
}

func TestImportScales(t *testing.T) {
	base := model(t, "qwen2")
	plain, _, err := peft.Import(edited(t, base, nil), base)
	if err != nil {
		t.Fatal(err)
	}
	scaled, _, err := peft.Import(edited(t, base, map[string]any{"use_rslora": true, "alpha_pattern": map[string]float64{"layers.1.self_attn.k_proj": 3}}), base)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range scaled.Pairs {
		want := 8 / math.Sqrt2
		if p.Base == "blk.1.attn_k.weight" {
			want = 3 / math.Sqrt2
		}
		got := scaled.Scale(p) * float64(p.B[0]) / float64(plain.Pairs[i].B[0])
		if math.Abs(got-want) > 1e-5 {
			t.Errorf("%s: scale %g, want %g", p.Base, got, want)
		}
	}
}

func TestImportRefusesTensors(t *testing.T) {
	base := model(t, "llama")
	values := func(n int) []float32 { return make([]float32, n) }
	const q = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
	for name, tensors := range map[string][]safetensors.Tensor{
		"DoRA":             {{Name: "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", Shape: []int64{64}, Values: values(64)}},
		"embedding":        {{Name: "base_model.model.model.embed_tokens.lora_embedding_A", Shape: []int64{2, 97}, Values: values(194)}},
		"without":          {{Name: q + "A.weight", Shape: []int64{2, 64}, Values: values(128)}},
		"no counterpart":   {{Name: "base_model.model.model.layers.0.self_attn.qkv_proj.lora_A.weight", Shape: []int64{2, 64}, Values: values(128)}},
		"no part":          {{Name: "base_model.model.lm_head.weight", Shape: []int64{2, 64}, Values: values(128)}},
		"rank 2":           {{Name: q + "A.weight", Shape: []int64{3, 64}, Values: values(192)}, {Name: q + "B.weight", Shape: []int64{64, 3}, Values: values(192)}},
		"no tensors of":    {},
		"64 x 32 in the a": {{Name: q + "A.weight", Shape: []int64{2, 64}, Values: values(128)}, {Name: q + "B.weight", Shape: []int64{32, 2}, Values: values(64)}},
		"NaN":              {{Name: q + "A.weight", Shape: []int64{2, 64}, Values: append(values(127), float32(math.NaN()))}, {Name: q + "B.weight", Shape: []int64{64, 2}, Values: values(128)}},
	} {
		dir := edited(t, base, nil)
		path := filepath.Join(dir, peft.TensorFile)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := safetensors.Write(path, safetensors.F32, tensors, nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := peft.Import(dir, base); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImportRefusesPickles(t *testing.T) {
	base := model(t, "llama")
	dir := edited(t, base, nil)
	if err := os.Rename(filepath.Join(dir, peft.TensorFile), filepath.Join(dir, "adapter_model.bin")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := peft.Import(dir, base); !errors.Is(err, peft.ErrPickle) {
		t.Errorf("adapter_model.bin: %v", err)
	}
}

// TestHeadsMustBeKnown: with counts of heads that differ by block, the order of
// k's rows is not guessed.
func TestHeadsMustBeKnown(t *testing.T) {
	base := model(t, "llama")
	a := adapter(t, base, 5, "attn", 8, 4)
	kvs := slices.Clone(base.KVs())
	for i, kv := range kvs {
		if kv.Key == "llama.attention.head_count_kv" {
			kvs[i].Value = []uint32{2, 4}
		}
	}
	path := filepath.Join(t.TempDir(), "odd.gguf")
	w, err := gguf.Create(path, kvs, base.Tensors())
	if err != nil {
		t.Fatal(err)
	}
	for _, ti := range base.Tensors() {
		if err := w.WriteTensor(ti.Name, base.Data(ti)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	odd, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer odd.Close()
	folder, err := handover.NewFolder(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Abort()
	if _, err := peft.Export(folder, a, odd, peft.Options{Type: safetensors.F32}); err == nil || !strings.Contains(err.Error(), "head_count_kv") {
		t.Errorf("exported with heads unknown: %v", err)
	}
}
