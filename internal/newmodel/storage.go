package newmodel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// Storage says in which types a model's matrices are stored.
type Storage struct {
	mixture lora.Mixture
	uniform bool // every matrix in the mixture's base type
}

// uniform lists the types that can hold every matrix, with their file types
// (llama.cpp's enum llama_ftype; of the K-quants the one of the _s mixture).
var uniform = []lora.Mixture{
	{Name: "f32", FileType: fileTypeF32, Base: gguf.F32}, {Name: "f16", FileType: 1, Base: gguf.F16}, {Name: "bf16", FileType: 32, Base: gguf.BF16},
	{Name: "q8_0", FileType: 7, Base: gguf.Q8_0}, {Name: "q4_0", FileType: 2, Base: gguf.Q4_0}, {Name: "q4_1", FileType: 3, Base: gguf.Q4_1},
	{Name: "q5_0", FileType: 8, Base: gguf.Q5_0}, {Name: "q5_1", FileType: 9, Base: gguf.Q5_1},
	{Name: "q3_k", FileType: 11, Base: gguf.Q3_K}, {Name: "q4_k", FileType: 14, Base: gguf.Q4_K}, {Name: "q5_k", FileType: 16, Base: gguf.Q5_K},
	{Name: "q6_k", FileType: 18, Base: gguf.Q6_K}, {Name: "iq4_nl", FileType: 25, Base: gguf.IQ4_NL}, {Name: "iq4_xs", FileType: 30, Base: gguf.IQ4_XS},
}

// mixed names the mixtures of llama.cpp.
var mixed = []string{"q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m"}

// StorageNames lists what ParseStorage knows.
func StorageNames() []string {
	var names []string
	for _, m := range uniform {
		names = append(names, m.Name)
	}
	return append(names, mixed...)
}

// ParseStorage finds a way to store a model by name, in any case. The name of a
// type puts every matrix in it. q2_k and the names with _s, _m and _l are
// llama.cpp's mixtures; with pure every matrix has the mixture's main type.
func ParseStorage(name string, pure bool) (Storage, error) {
	lower := strings.ToLower(name)
	for _, m := range uniform {
		if m.Name == lower {
			return Storage{m, true}, nil
		}
	}
	if !slices.Contains(mixed, lower) {
		return Storage{}, fmt.Errorf("unknown type %q; choose one of %s", name, strings.Join(StorageNames(), ", "))
	}
	m, err := lora.ParseMixture(lower)
	return Storage{m, pure}, err
}

// FileType is what general.file_type says of such a model: llama.cpp's enum llama_ftype.
func (s Storage) FileType() uint32 { return s.mixture.FileType }

// choose gives the types of the tensors of a header.
func (s Storage) choose(f *gguf.File) (map[string]lora.Choice, error) {
	if s.uniform {
		return lora.Uniform(s.mixture.Base, f)
	}
	return s.mixture.Choose(f)
}
