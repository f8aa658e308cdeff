package ggml

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/abitest"
)

// pinnedLayout is everything in ggml_pinned.h whose layout or value C code on both sides relies on.
func pinnedLayout(t *testing.T) abitest.Layout {
	t.Helper()
	header, err := os.ReadFile("ggml_pinned.h")
	if err != nil {
		t.Fatal(err)
	}
	l := abitest.Layout{
		Structs: map[string][]string{
			"ggml_tensor": {"type", "buffer", "ne", "nb", "op", "op_params", "flags", "src", "view_src", "view_offs", "data",
				"name", "extra", "padding"},
			"ggml_init_params": {"mem_size", "mem_buffer", "no_alloc"},
			"ggml_type_traits": {"type_name", "blck_size", "blck_size_interleave", "type_size", "is_quantized", "to_float", "from_float_ref"},
		},
		Constants: []string{"GGML_MAX_DIMS", "GGML_MAX_SRC", "GGML_MAX_OP_PARAMS", "GGML_MAX_NAME"},
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(GGML_TYPE_\w+) +=`).FindAllStringSubmatch(string(header), -1) {
		l.Constants = append(l.Constants, m[1])
	}
	if len(l.Constants) != len(BaseTypes())+1+4 {
		t.Fatalf("found %d constants in ggml_pinned.h, want every base type and I32", len(l.Constants))
	}
	return l
}

func TestPinnedHeaderMatches(t *testing.T) {
	same := func(name string) string { return name }
	layout := pinnedLayout(t)
	ours := abitest.Table(t, "ggml_pinned.h", []string{"-I."}, layout, same)
	abitest.Compare(t, ours, abitest.Table(t, "ggml-cpu.h", abitest.Headers(t), layout, same))
}

var prototype = regexp.MustCompile(`(?s)([a-z][\w ]*[\w*] *\*? *)\b(ggml_\w+)\(([^;{}()]*)\);`)

// pinnedTypes spells in a declaration the enums that ggml_pinned.h writes as int32_t, which has their size.
var pinnedTypes = strings.NewReplacer("int32_t type", "enum ggml_type type", "int32_t ggml_backend_", "enum ggml_status ggml_backend_")

// TestPrototypesMatch has the compiler compare each function declared here with the pinned declaration.
func TestPrototypesMatch(t *testing.T) {
	header, err := os.ReadFile("ggml_pinned.h")
	if err != nil {
		t.Fatal(err)
	}
	var p strings.Builder
	p.WriteString("#include \"ggml-cpu.h\"\n#include \"ggml-alloc.h\"\ntypedef struct ggml_context * ggml_context_t;\n")
	functions := prototype.FindAllStringSubmatch(pinnedTypes.Replace(string(header)), -1)
	if len(functions) < 35 {
		t.Fatalf("found %d functions in ggml_pinned.h, want all of them", len(functions))
	}
	for _, f := range functions {
		fmt.Fprintf(&p, "_Static_assert(__builtin_types_compatible_p(__typeof__(%s), %s(%s)), \"%s\");\n", f[2], f[1], f[3], f[2])
	}
	p.WriteString("int main(void) { return 0; }\n")
	abitest.Compile(t, p.String(), abitest.Headers(t))
}
