package llama

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// structs are those passed by value or filled field by field.
var structs = map[string][]string{
	"llama_batch": {"n_tokens", "token", "embd", "pos", "n_seq_id", "seq_id", "logits"},
	"llama_model_params": {"devices", "tensor_buft_overrides", "n_gpu_layers", "split_mode", "main_gpu", "tensor_split",
		"progress_callback", "progress_callback_user_data", "kv_overrides", "vocab_only", "use_mmap", "use_mlock",
		"check_tensors", "use_extra_bufts", "no_host", "no_alloc"},
	"llama_context_params": {"n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_threads", "n_threads_batch",
		"rope_scaling_type", "pooling_type", "attention_type", "flash_attn_type", "rope_freq_base", "rope_freq_scale",
		"yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow", "yarn_orig_ctx", "defrag_thold",
		"cb_eval", "cb_eval_user_data", "type_k", "type_v", "abort_callback", "abort_callback_data",
		"embeddings", "offload_kqv", "no_perf", "op_offload", "swa_full", "kv_unified"},
	"llama_model_quantize_params": {"nthread", "ftype", "output_tensor_type", "token_embedding_type", "allow_requantize",
		"quantize_output_tensor", "only_copy", "pure", "keep_split", "imatrix", "kv_overrides", "tensor_types", "prune_layers"},
	"llama_sampler_chain_params": {"no_perf"},
}

// pinnedConstant spells the pinned name of one of our constants.
func pinnedConstant(ours string) string {
	name := strings.TrimPrefix(ours, "QL_")
	switch {
	case strings.HasPrefix(name, "LOG_"):
		return "GGML_LOG_LEVEL_" + strings.TrimPrefix(name, "LOG_")
	case strings.HasPrefix(name, "FLASH_ATTN_"):
		return "LLAMA_FLASH_ATTN_TYPE_" + strings.TrimPrefix(name, "FLASH_ATTN_")
	case strings.HasPrefix(name, "VOCAB_TYPE_"):
		return "LLAMA_" + name
	case strings.HasPrefix(name, "TYPE_"):
		return "GGML_" + name
	case name == "FTYPE_F32":
		return "LLAMA_FTYPE_ALL_F32"
	default:
		return "LLAMA_FTYPE_MOSTLY_" + strings.TrimPrefix(name, "FTYPE_")
	}
}

var (
	constantLine = regexp.MustCompile(`(?m)^\s+(QL_\w+)\s*=`)
	comment      = regexp.MustCompile(`(?m)//.*$`)
	prototype    = regexp.MustCompile(`(?s)([a-z][\w ]*[\w*] *\*? *)\b(llama_\w+)\(([^;{}]*)\);`)
)

// looseTypes are functions whose declared types differ from the pinned ones in
// an enum that we spell int32_t; sizes are the same by the enum's own check.
var looseTypes = map[string]bool{"llama_log_set": true, "llama_vocab_type": true}

func TestABIMatchesThePinnedHeaders(t *testing.T) {
	includes := pinnedIncludes(t)
	header, err := os.ReadFile("llama_pinned.h")
	if err != nil {
		t.Fatal(err)
	}
	constants := constantLine.FindAllStringSubmatch(string(header), -1)
	if len(constants) < 30 {
		t.Fatalf("found %d constants in llama_pinned.h, want all of them", len(constants))
	}
	ours := table(t, "#include \"llama_pinned.h\"\n", []string{"-I."}, constants, func(s string) string { return s })
	pinned := table(t, "#include \"llama.h\"\n", includes, constants, pinnedConstant)
	if ours != pinned {
		t.Errorf("llama_pinned.h differs from the pinned headers:\n%s", difference(ours, pinned))
	}
}

// TestPrototypesMatchThePinnedHeaders has the compiler compare each function
// that we declare with the pinned declaration.
func TestPrototypesMatchThePinnedHeaders(t *testing.T) {
	includes := pinnedIncludes(t)
	header, err := os.ReadFile("llama_pinned.h")
	if err != nil {
		t.Fatal(err)
	}
	functions := prototype.FindAllStringSubmatch(comment.ReplaceAllString(string(header), ""), -1)
	if len(functions) < 60 {
		t.Fatalf("found %d functions in llama_pinned.h, want all of them", len(functions))
	}
	var program strings.Builder
	program.WriteString("#include \"llama.h\"\n")
	for _, f := range functions {
		if looseTypes[f[2]] {
			continue
		}
		fmt.Fprintf(&program, "_Static_assert(__builtin_types_compatible_p(__typeof__(%s), %s(%s)), \"%s\");\n", f[2], f[1], f[3], f[2])
	}
	program.WriteString("int main(void) { return 0; }\n")
	compile(t, program.String(), includes)
}

// table compiles and runs a program that prints every size, offset and
// constant, one a line.
func table(t *testing.T, include string, includes []string, constants [][]string, spell func(string) string) string {
	t.Helper()
	var p strings.Builder
	p.WriteString(include + "#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n")
	for name, fields := range structs {
		for _, f := range fields {
			fmt.Fprintf(&p, "printf(\"%s.%s offset %%zu size %%zu\\n\", offsetof(struct %s, %s), sizeof(((struct %s *) 0)->%s));\n", name, f, name, f, name, f)
		}
		fmt.Fprintf(&p, "printf(\"%s size %%zu\\n\", sizeof(struct %s));\n", name, name)
	}
	for _, c := range constants {
		fmt.Fprintf(&p, "printf(\"%s %%lld\\n\", (long long) %s);\n", c[1], spell(c[1]))
	}
	p.WriteString("return 0;\n}\n")
	out, err := exec.Command(compile(t, p.String(), includes)).Output()
	if err != nil {
		t.Fatalf("run the table program: %v", err)
	}
	return sortLines(string(out))
}

func compile(t *testing.T, program string, includes []string) string {
	t.Helper()
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "p.c"), filepath.Join(dir, "p")
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-std=gnu11", "-Wno-deprecated-declarations", "-o", binary, source}, includes...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("compile against the headers: %v\n%s", err, out)
	}
	return binary
}

// pinnedIncludes finds the headers of the module that libllama comes from.
func pinnedIncludes(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/ollama/ollama").Output()
	if err != nil {
		t.Fatalf("find the module of libllama: %v", err)
	}
	dir := strings.TrimSpace(string(out))
	return []string{"-I" + dir + "/llama/llama.cpp/include", "-I" + dir + "/ml/backend/ggml/ggml/include"}
}

func sortLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// difference lists the lines of a that b lacks, with b's line of that name.
func difference(a, b string) string {
	var out strings.Builder
	other := strings.Split(b, "\n")
	for i, line := range strings.Split(a, "\n") {
		if i >= len(other) || line != other[i] {
			fmt.Fprintf(&out, "ours %q, pinned %q\n", line, at(other, i))
		}
	}
	return out.String()
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}
