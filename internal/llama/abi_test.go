package llama

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/abitest"
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
	"llama_logit_bias":           {"token", "bias"},
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
	prototype    = regexp.MustCompile(`(?s)([a-z][\w ]*[\w*] *\*? *)\b((?:llama|ggml)_\w+)\(([^;{}]*)\);`)
)

// looseTypes are functions whose declared types differ from the pinned ones in
// an enum that we spell int32_t; sizes are the same by the enum's own check.
var looseTypes = map[string]bool{"llama_log_set": true, "llama_vocab_type": true}

func TestABIMatchesThePinnedHeaders(t *testing.T) {
	header, err := os.ReadFile("llama_pinned.h")
	if err != nil {
		t.Fatal(err)
	}
	layout := abitest.Layout{Structs: structs}
	for _, m := range constantLine.FindAllStringSubmatch(string(header), -1) {
		layout.Constants = append(layout.Constants, m[1])
	}
	if len(layout.Constants) < 30 {
		t.Fatalf("found %d constants in llama_pinned.h, want all of them", len(layout.Constants))
	}
	ours := abitest.Table(t, "llama_pinned.h", []string{"-I."}, layout, func(s string) string { return s })
	abitest.Compare(t, ours, abitest.Table(t, "llama.h", abitest.Headers(t), layout, pinnedConstant))
}

// TestPrototypesMatchThePinnedHeaders has the compiler compare each function
// that we declare with the pinned declaration.
func TestPrototypesMatchThePinnedHeaders(t *testing.T) {
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
	abitest.Compile(t, program.String(), abitest.Headers(t))
}
