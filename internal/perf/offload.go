package perf

import (
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/ui"
)

// Budget bounds the memory of a model that runs, bytes.
type Budget struct {
	Device int64 // of the GPU, by NVML's count for the process; 0: there is none
	Host   int64 // of the machine
}

// Offload says where the layers of a model go, and what memory that takes.
type Offload struct {
	Layers int   // on the device, as llama.cpp's -ngl counts: the last blocks first, the output after all of them
	Of     int   // all, the output included
	Device int64 // bytes
	Host   int64 // bytes, the pages of the mapped file included
}

// BudgetError says that a model fits into no division of the budget.
type BudgetError struct {
	Need Offload
	Have Budget
}

func (e *BudgetError) Error() string {
	if e.Have.Device == 0 {
		return fmt.Sprintf("the model takes %s of memory, more than the budget of %s", ui.Size(e.Need.Host), ui.Size(e.Have.Host))
	}
	return fmt.Sprintf("with %d of %d layers on the GPU, as many as fit into %s, the model takes %s of the host's memory, more than the budget of %s",
		e.Need.Layers, e.Need.Of, ui.Size(e.Have.Device), ui.Size(e.Need.Host), ui.Size(e.Have.Host))
}

// What libllama takes beside weights and cache, bytes. CUDA's context with the code of all kernels and cuBLAS is the
// engine's figure, measured on one H100; the host's is the program with its vocabulary.
const (
	cudaRuntime = 640 << 20
	hostRuntime = 256 << 20
	microBatch  = 512 // tokens that libllama computes at a time
	cacheAlign  = 256 // cells of the cache are a multiple of it
	cacheBytes  = 2   // of an F16 value
)

// PlanOffload puts as many layers of f on the device as b lets it, for a cache of ctx tokens in F16. It counts what the
// header says; the temporaries of a micro-batch are an estimate on the safe side.
func PlanOffload(f *gguf.File, ctx int, b Budget) (Offload, error) {
	s, err := measureParts(f, ctx)
	if err != nil {
		return Offload{}, err
	}
	best := s.offload(0)
	for n := 1; n <= len(s.blocks)+1 && b.Device > 0; n++ {
		if o := s.offload(n); o.Device <= b.Device {
			best = o
		}
	}
	if best.Host > b.Host {
		return best, &BudgetError{Need: best, Have: b}
	}
	return best, nil
}

// parts are the bytes of a model that runs.
type parts struct {
	blocks      []int64 // weights and cache of each
	embed       int64   // table of the input, always in host memory
	output      int64   // what else computes logits
	tied        bool    // with the table of the input
	temporaries int64
}

func measureParts(f *gguf.File, ctx int) (parts, error) {
	arch, _ := f.String("general.architecture")
	dim := func(key string) int64 {
		v, _ := f.Uint(arch + "." + key)
		return int64(v)
	}
	layers, heads := dim("block_count"), dim("attention.head_count")
	if layers < 1 || layers > 1<<16 || heads < 1 {
		return parts{}, fmt.Errorf("the header of %s names no blocks or no heads", strings.Join(f.Paths(), ", "))
	}
	s := parts{blocks: make([]int64, layers), tied: true}
	var vocab int64
	for _, t := range f.Tensors() {
		var block int64
		switch {
		case t.Name == "token_embd.weight":
			s.embed, vocab = t.Size, t.Dims[len(t.Dims)-1]
		case strings.HasPrefix(t.Name, "output"):
			s.output += t.Size
			s.tied = s.tied && t.Name != "output.weight"
		default:
			if _, err := fmt.Sscanf(t.Name, "blk.%d.", &block); err == nil && block < layers {
				s.blocks[block] += t.Size
			}
		}
	}
	cells := (int64(ctx) + cacheAlign - 1) / cacheAlign * cacheAlign
	for i := range s.blocks {
		s.blocks[i] += 2 * cells * dim("attention.head_count_kv") * headSize(dim, heads) * cacheBytes
	}
	rows := min(microBatch, cells)
	s.temporaries = 4 * rows * (vocab + 3*dim("feed_forward_length") + 6*dim("embedding_length") + heads*cells)
	return s, nil
}

func headSize(dim func(string) int64, heads int64) int64 {
	if n := dim("attention.key_length"); n > 0 {
		return n
	}
	return dim("embedding_length") / heads
}

// offload counts what n layers on the device come to.
func (s parts) offload(n int) Offload {
	o := Offload{Layers: n, Of: len(s.blocks) + 1, Host: hostRuntime + s.embed}
	if n > 0 {
		o.Device = cudaRuntime + s.temporaries
	} else {
		o.Host += s.temporaries
	}
	for i, bytes := range s.blocks {
		if i >= len(s.blocks)-n {
			o.Device += bytes
		} else {
			o.Host += bytes
		}
	}
	switch {
	case n <= len(s.blocks):
		o.Host += s.output
	case s.tied:
		o.Device += s.output + s.embed // a copy
	default:
		o.Device += s.output
	}
	return o
}
