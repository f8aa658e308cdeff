package lora

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

func names(infos []gguf.TensorInfo) string {
	var out []string
	for _, t := range infos {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(t.Name, "blk."), ".weight"))
	}
	return strings.Join(out, " ")
}

func TestTargets(t *testing.T) {
	attn0, attn1 := "0.attn_q 0.attn_k 0.attn_v 0.attn_output", "1.attn_q 1.attn_k 1.attn_v 1.attn_output"
	mlp0, mlp1 := "0.ffn_gate 0.ffn_up 0.ffn_down", "1.ffn_gate 1.ffn_up 1.ffn_down"
	untied := newBase(t, false)
	for target, want := range map[string]string{
		"all":                 strings.Join([]string{attn0, mlp0, attn1, mlp1}, " "),
		"attn":                attn0 + " " + attn1,
		"mlp":                 mlp0 + " " + mlp1,
		"attn_v, ffn_up":      "0.attn_v 0.ffn_up 1.attn_v 1.ffn_up",
		"attn_q,output":       "0.attn_q 1.attn_q output",
		"mlp,attn_k":          "0.attn_k " + mlp0 + " 1.attn_k " + mlp1,
		"all,output":          strings.Join([]string{attn0, mlp0, attn1, mlp1, "output"}, " "),
		`^blk\.1\.attn_`:      attn1,
		`attn_(q|v)`:          "0.attn_q 0.attn_v 1.attn_q 1.attn_v",
		`^output\.weight$`:    "output",
		"blk.0.attn_q.weight": "0.attn_q",
	} {
		got, err := Targets(Config{Target: target}, untied)
		if err != nil {
			t.Errorf("%s: %v", target, err)
		} else if names(got) != want {
			t.Errorf("%s chose\n     %s\nwant %s", target, names(got), want)
		}
	}
}

func TestTargetsRefuse(t *testing.T) {
	tied, untied := newBase(t, true), newBase(t, false)
	for _, tt := range []struct {
		base   *gguf.File
		target string
		want   []string
	}{
		{untied, "attn_x", []string{`"attn_x" matches nothing`, "attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down, output"}},
		{untied, "attn_q,q_proj", []string{`"q_proj" matches nothing`}},
		{untied, "", []string{"matches nothing"}},
		{untied, `blk\.7\.`, []string{"matches nothing", "regular expression"}},
		{untied, `attn_q.bias`, []string{"matches nothing"}},
		{untied, `(`, []string{"missing closing"}},
		{tied, "output", []string{"tied", "base.gguf"}},
		{tied, "all,output", []string{"tied"}},
		{tied, `^output\.weight$`, []string{"tied"}},
	} {
		_, err := Targets(Config{Target: tt.target}, tt.base)
		wantError(t, err, append(tt.want, "lora target")...)
	}
	got, err := Targets(Config{Target: "all"}, tied)
	if err != nil || slices.ContainsFunc(got, func(ti gguf.TensorInfo) bool { return ti.Name == headTensor }) {
		t.Errorf("all on a tied head: %s, %v", names(got), err)
	}
}

func TestTargetsRefuseOddModels(t *testing.T) {
	dir := t.TempDir()
	cube := writeFile(t, filepath.Join(dir, "cube.gguf"), nil, []gguf.TensorInfo{{Name: "blk.0.attn_q.weight", Dims: []int64{2, 2, 2}}}, nil)
	_, err := Targets(Config{Target: "all"}, cube)
	wantError(t, err, "cube.gguf", "blk.0.attn_q.weight", "3 dimensions")
	fused := writeFile(t, filepath.Join(dir, "fused.gguf"), nil, []gguf.TensorInfo{{Name: "blk.0.attn_qkv.weight", Dims: []int64{2, 2}}}, nil)
	_, err = Targets(Config{Target: "all"}, fused)
	wantError(t, err, "no linear that can be adapted")
}
