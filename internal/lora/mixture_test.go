package lora

import (
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

func TestMixtureNames(t *testing.T) {
	for _, name := range MixtureNames() {
		if m, err := ParseMixture(strings.ToUpper(name)); err != nil || m.Name != name {
			t.Errorf("ParseMixture(%s) = %v, %v", strings.ToUpper(name), m, err)
		}
	}
	if m, err := ParseMixture("q4_k"); err != nil || m.Name != "q4_k_m" {
		t.Errorf("q4_k is %v, %v", m, err)
	}
	if _, err := ParseMixture("iq2_xxs"); err == nil {
		t.Error("iq2_xxs needs an importance matrix")
	}
}

func TestUniform(t *testing.T) {
	f := gguf.Describe(nil, []gguf.TensorInfo{
		{Name: "token_embd.weight", Dims: []int64{256, 8}}, {Name: "blk.0.ffn_down.weight", Dims: []int64{288, 8}},
		{Name: "blk.0.attn_v.weight", Dims: []int64{100, 8}}, {Name: "blk.0.attn_norm.weight", Dims: []int64{256}}, {Name: "blk.0.attn_q.bias", Dims: []int64{256}},
	})
	got, err := Uniform(gguf.Q6_K, f)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Choice{
		"token_embd.weight": {gguf.Q6_K, gguf.Q6_K}, "blk.0.ffn_down.weight": {gguf.Q8_0, gguf.Q6_K}, "blk.0.attn_v.weight": {gguf.F16, gguf.Q6_K},
		"blk.0.attn_norm.weight": {gguf.F32, gguf.F32}, "blk.0.attn_q.bias": {gguf.F32, gguf.F32},
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	if _, err := Uniform(gguf.Q4_0, f); err == nil {
		t.Error("rows of 100 values were put into blocks of 32")
	}
}
