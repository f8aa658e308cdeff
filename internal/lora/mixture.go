package lora

import (
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// Mixture is a way to store a whole model, as llama.cpp's quantisation tool
// names them: one type for most tensors, others for those that need more bits.
type Mixture struct {
	Name     string
	FileType uint32    // general.file_type, llama.cpp's enum llama_ftype
	Base     gguf.Type // of most tensors
}

// mixtures leaves out those that are only usable with an importance matrix.
var mixtures = []Mixture{
	{"f32", 0, gguf.F32},
	{"f16", 1, gguf.F16},
	{"bf16", 32, gguf.BF16},
	{"q8_0", 7, gguf.Q8_0},
	{"q6_k", 18, gguf.Q6_K},
	{"q5_k_m", 17, gguf.Q5_K},
	{"q5_k_s", 16, gguf.Q5_K},
	{"q5_1", 9, gguf.Q5_1},
	{"q5_0", 8, gguf.Q5_0},
	{"q4_k_m", 15, gguf.Q4_K},
	{"q4_k_s", 14, gguf.Q4_K},
	{"q4_1", 3, gguf.Q4_1},
	{"q4_0", 2, gguf.Q4_0},
	{"iq4_nl", 25, gguf.IQ4_NL},
	{"iq4_xs", 30, gguf.IQ4_XS},
	{"q3_k_l", 13, gguf.Q3_K},
	{"q3_k_m", 12, gguf.Q3_K},
	{"q3_k_s", 11, gguf.Q3_K},
	{"q2_k", 10, gguf.Q2_K},
}

// shortNames are llama.cpp's abbreviations.
var shortNames = map[string]string{"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}

// MixtureNames lists what ParseMixture knows, largest first.
func MixtureNames() []string {
	var names []string
	for _, m := range mixtures {
		names = append(names, m.Name)
	}
	return names
}

// ParseMixture finds a mixture by name, in any case.
func ParseMixture(name string) (Mixture, error) {
	lower := strings.ToLower(name)
	if full, ok := shortNames[lower]; ok {
		lower = full
	}
	for _, m := range mixtures {
		if m.Name == lower {
			return m, nil
		}
	}
	return Mixture{}, fmt.Errorf("unknown type %q; choose one of %s", name, strings.Join(MixtureNames(), ", "))
}

func (m Mixture) is(names ...string) bool {
	for _, n := range names {
		if m.Name == n {
			return true
		}
	}
	return false
}

// Choice is the type for one tensor.
type Choice struct {
	Type   gguf.Type
	Wanted gguf.Type // what the mixture asks for; Type differs when the row width does not allow it
}

// Fallback reports whether the row width forced another type.
func (c Choice) Fallback() bool { return c.Type != c.Wanted }
