package model

import (
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
)

// Stream brings the matrices of blocks that do not stay on the device through two slots, hidden behind the compute of
// other blocks. Norms and biases stay on the device.
type Stream struct {
	slots  *ggml.Slots
	order  map[int]int      // block -> its place among the streamed ones
	count  int              // of streamed blocks
	offset map[string]int64 // of a matrix within its block's piece
	index  map[string]int   // matrix -> its block's place
}

// Streamed lists which of n blocks do not stay on the device when that many are streamed: spread evenly, so that each copy
// has the compute of the blocks in between to hide behind.
func Streamed(n, streamed int) (blocks []int) {
	for i := range n {
		if (i+1)*streamed/n > i*streamed/n {
			blocks = append(blocks, i)
		}
	}
	return blocks
}

// StreamedMatrices lists the tensors of block i that are streamed, in the order of the file.
func StreamedMatrices(f *gguf.File, i int) (out []gguf.TensorInfo) {
	prefix := fmt.Sprintf("blk.%d.", i)
	for _, t := range f.Tensors() {
		if strings.HasPrefix(t.Name, prefix) && len(t.Dims) == 2 && t.Dims[1] > 1 {
			out = append(out, t)
		}
	}
	return out
}

// PieceBytes is what the matrices take of a slot.
func PieceBytes(matrices []gguf.TensorInfo) (n int64) {
	for _, t := range matrices {
		n += ggml.PieceBytes(t.Size)
	}
	return n
}

func newStream(f *gguf.File, p *Params, backend *ggml.Backend, streamed int) (*Stream, error) {
	s := &Stream{order: map[int]int{}, offset: map[string]int64{}, index: map[string]int{}}
	var sizes []int64
	tensors := 0
	for _, block := range Streamed(int(p.Layers), streamed) {
		matrices := StreamedMatrices(f, block)
		at := int64(0)
		for _, t := range matrices {
			s.offset[t.Name], s.index[t.Name] = at, s.count
			at += ggml.PieceBytes(t.Size)
		}
		s.order[block] = s.count
		s.count++
		sizes, tensors = append(sizes, at), tensors+len(matrices)
	}
	slots, err := backend.NewSlots(sizes, tensors)
	s.slots = slots
	return s, err
}

func (s *Stream) has(name string) bool {
	if s == nil {
		return false
	}
	_, ok := s.index[name]
	return ok
}

func (s *Stream) place(info gguf.TensorInfo, t ggml.Type, data []byte) (*ggml.Tensor, error) {
	return s.slots.Place(s.index[info.Name], s.offset[info.Name], info.Name, t, data, info.Dims[0], info.Dims[1])
}

// Around runs compute, which reads the weights of block, when they are on the device, and starts to bring those of the next
// streamed block in the direction of the pass: step 1 forward, -1 backward.
func (s *Stream) Around(block, step int, compute func() error) error {
	i, streamed := 0, false
	if s != nil {
		i, streamed = s.order[block]
	}
	if !streamed {
		return compute()
	}
	next := i + step
	if next >= s.count {
		next = -1
	}
	if err := s.slots.Enter(i, next); err != nil {
		return err
	}
	if err := compute(); err != nil {
		return err
	}
	return s.slots.Leave(i)
}

// HostBytes is the pinned host memory that streamed weights take.
func (s *Stream) HostBytes() int64 {
	if s == nil {
		return 0
	}
	return s.slots.HostBytes()
}
