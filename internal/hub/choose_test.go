package hub

import (
	"errors"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	good := map[string]Ref{
		"hf:owner/name":                         {Repo: "owner/name"},
		"hf:owner/na.me-GGUF:Q4_K_M":            {Repo: "owner/na.me-GGUF", Want: "Q4_K_M"},
		"HF:o/n:model-q8_0.gguf":                {Repo: "o/n", Want: "model-q8_0.gguf"},
		"owner/name:q8_0":                       {Repo: "owner/name", Want: "q8_0"},
		"hf.co/owner/name:Q8_0":                 {Repo: "owner/name", Want: "Q8_0"},
		"https://huggingface.co/owner/name":     {Repo: "owner/name"},
		"hf://owner/name:folder/x.gguf":         {Repo: "owner/name", Want: "folder/x.gguf"},
		"huggingface.co/owner/name_2:UD-Q4_K_S": {Repo: "owner/name_2", Want: "UD-Q4_K_S"},
	}
	for text, want := range good {
		if got, err := ParseRef(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "hf:", "hf:name", "hf:a/b/c", "hf:a/b:", "hf:../b", "hf:a/..", "hf:a/b?x", "/a/b", "hf:a b/c", "hf:a/b#c"} {
		if got, err := ParseRef(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
	if IsRef("data/models/x.gguf") || !IsRef("hf:a/b") {
		t.Error("a path is told from a model on a hub by the prefix")
	}
}

func TestQuant(t *testing.T) {
	for name, want := range map[string]string{
		"Llama-3.2-1B-Instruct-Q4_K_M.gguf":             "Q4_K_M",
		"model.Q4_1.gguf":                               "Q4_1",
		"qwen2.5-coder-7b-instruct-q5_k_s.gguf":         "Q5_K_S",
		"Qwen3-30B-A3B-UD-Q4_K_XL-00001-of-00002.gguf":  "UD-Q4_K_XL",
		"gpt-oss-20b-mxfp4.gguf":                        "MXFP4",
		"Q4_K_M.gguf":                                   "Q4_K_M",
		"x-IQ3_XXS.gguf":                                "IQ3_XXS",
		"x.i1-IQ4_NL.gguf":                              "IQ4_NL",
		"BF16/model-00002-of-00003.gguf":                "BF16",
		"model-f16.gguf":                                "F16",
		"Q8-distilled-model-Q4_0.gguf":                  "Q4_0",
		"x-Q4_0_4_8.gguf":                               "Q4_0_4_8",
		"bitnet-TQ1_0.gguf":                             "TQ1_0",
		"Qwen2.5-0.5B.gguf":                             "",
		"plain.gguf":                                    "",
		"model-q4_0_finetuned.gguf":                     "Q4_0",
		"Q6_K/sub/x-Q8_0.gguf":                          "Q8_0",
		"phi-3-mini-4k-instruct-fp16.gguf":              "FP16",
		"Mixtral-8x7B-v0.1.Q2_K-00001-of-00003.gguf":    "Q2_K",
		"gemma-3-1b-it-q4_0.gguf":                       "Q4_0",
		"DeepSeek-R1-Distill-Qwen-1.5B-Q4_0_8_8_x.gguf": "Q4_0_8_8_X",
	} {
		if got := Quant(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func files(names ...string) []File {
	var list []File
	for i, name := range names {
		list = append(list, File{Path: name, Size: int64(i + 1)})
	}
	return list
}

func TestChoose(t *testing.T) {
	repo := files("README.md", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "mmproj-m-Q8_0.gguf", "m-UD-Q2_K.gguf",
		"big/m-F16-00002-of-00002.gguf", "big/m-F16-00001-of-00002.gguf", "m-BF16-00001-of-00002.gguf", "a-Q5_0.gguf", "b-Q5_0.gguf")
	for want, name := range map[string]string{
		"": "m-Q4_K_M.gguf", "q8_0": "m-Q8_0.gguf", "Q2_K": "m-UD-Q2_K.gguf", "UD-Q2_K": "m-UD-Q2_K.gguf",
		"F16": "big/m-F16-00001-of-00002.gguf", "m-F16-00002-of-00002.gguf": "big/m-F16-00001-of-00002.gguf",
		"b-Q5_0.gguf": "b-Q5_0.gguf", "mmproj-m-Q8_0.gguf": "mmproj-m-Q8_0.gguf",
	} {
		if got, err := Choose(repo, want); err != nil || got.Name != name {
			t.Errorf("%q: %q, %v; want %s", want, got.Name, err, name)
		}
	}
	if m, _ := Choose(repo, "F16"); len(m.Files) != 2 || m.Size() != 13 {
		t.Errorf("a split model: %+v", m)
	}
	for want, text := range map[string]string{"Q3_K": "has no Q3_K", "Q5_0": "has 2 models", "x.gguf": "has no file", "BF16": "in 2 parts"} {
		var choice *ChoiceError
		if _, err := Choose(repo, want); !errors.As(err, &choice) || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want %q", want, err, text)
		}
	}
	if _, err := Choose(files("x.safetensors"), ""); err == nil {
		t.Error("a repository without GGUF files has no model")
	}
	if m, err := Choose(files("only-Q3_K_S.gguf"), ""); err != nil || m.Quant != "Q3_K_S" {
		t.Errorf("the only model: %+v, %v", m, err)
	}
	if _, err := Choose(files("a-Q3_K.gguf", "b-Q5_K.gguf"), ""); err == nil {
		t.Error("of several models none of which is the usual one, none is taken")
	}
}

func TestLocalName(t *testing.T) {
	if name, err := LocalName(File{Path: "a/b/c.gguf"}); err != nil || name != "c.gguf" {
		t.Errorf("%q, %v", name, err)
	}
	for _, path := range []string{"", "..", "a/..", ".hidden.gguf", `a\b.gguf`, "x\x1b[2J.gguf", "a/", strings.Repeat("x", 300)} {
		if name, err := LocalName(File{Path: path}); err == nil && (name != "a" || path != "a/") {
			t.Errorf("%q becomes %q", path, name)
		}
	}
}
