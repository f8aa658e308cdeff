package ggml

// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Slots are two equal pieces of device memory that the weights of layers pass through, and the pinned host memory that they
// come from. A layer is one piece of host memory; its tensors lie in the slot as they lie there.
type Slots struct {
	backend *Backend
	store   *Store
	memory  [2]*Tensor
	host    []byte
	pieces  []piece
	held    [2]int // which piece a slot holds or is being filled with; -1: none
}

type piece struct{ offset, size int64 }

// slotAlignment of tensors within a piece.
const slotAlignment = 128

// NewSlots makes room for pieces of the given sizes, in bytes, of which tensors will be declared.
func (b *Backend) NewSlots(sizes []int64, tensors int) (*Slots, error) {
	s := &Slots{backend: b, held: [2]int{-1, -1}}
	total, largest := int64(0), int64(0)
	for _, size := range sizes {
		s.pieces = append(s.pieces, piece{total, size})
		total, largest = total+size, max(largest, size)
	}
	var err error
	if s.store, err = NewStore(tensors + 2); err != nil {
		return nil, err
	}
	for i := range s.memory {
		s.memory[i] = s.store.New(fmt.Sprint("slot ", i), F32, (largest+3)/4)
	}
	if err := s.store.Alloc(b); err != nil {
		s.Close()
		return nil, fmt.Errorf("two slots of %d bytes for streamed layers: %w", largest, err)
	}
	host := C.qlora_module_pinned(b.module.ptr, C.size_t(total))
	if host == nil {
		s.Close()
		return nil, fmt.Errorf("%d bytes of weights in host memory: %w", total, b.module.failure())
	}
	s.host = unsafe.Slice((*byte)(host), total)
	return s, nil
}

// PieceBytes is what tensors of the given sizes take of a piece.
func PieceBytes(sizes ...int64) (n int64) {
	for _, size := range sizes {
		n += (size + slotAlignment - 1) / slotAlignment * slotAlignment
	}
	return n
}

// Place declares a weight matrix of piece i at offset bytes in it and copies its data there.
func (s *Slots) Place(i int, offset int64, name string, t Type, data []byte, in, out int64) (*Tensor, error) {
	p, row := s.pieces[i], t.RowBytes(in)
	if row == 0 || row*out != int64(len(data)) || offset < 0 || offset%slotAlignment != 0 || offset+int64(len(data)) > p.size {
		return nil, fmt.Errorf("place %s %s [%d, %d] in a slot: %d bytes at %d do not fit %d", name, t, in, out, len(data), offset, p.size)
	}
	memory := s.memory[i%2]
	view := s.store.View(memory, name, offset/4, 1, 1)
	if err := s.store.Err(); err != nil {
		return nil, err
	}
	C.qlora_retype(view.ptr, C.int32_t(t), C.int64_t(in), C.int64_t(out), C.size_t(row))
	copy(s.host[p.offset+offset:], data)
	return view, nil
}

// Enter makes what is computed next wait for piece i, and starts to bring piece next, unless it is -1 or there already.
// The two must be of different parity.
func (s *Slots) Enter(i, next int) error {
	if err := s.fill(i); err != nil {
		return err
	}
	if C.qlora_module_enter_slot(s.backend.module.ptr, s.backend.session, C.int(i%2)) != 0 {
		return s.fail()
	}
	if next < 0 {
		return nil
	}
	return s.fill(next)
}

// Leave says that what was computed since Enter is all that reads piece i for now.
func (s *Slots) Leave(i int) error {
	if C.qlora_module_leave_slot(s.backend.module.ptr, s.backend.session, C.int(i%2)) != 0 {
		return s.fail()
	}
	return nil
}

func (s *Slots) fill(i int) error {
	if s.held[i%2] == i {
		return nil
	}
	p := s.pieces[i]
	if C.qlora_module_fill_slot(s.backend.module.ptr, s.backend.session, C.int(i%2), s.memory[i%2].ptr.data, unsafe.Pointer(&s.host[p.offset]), C.size_t(p.size)) != 0 {
		return s.fail()
	}
	s.held[i%2] = i
	return nil
}

func (s *Slots) fail() error {
	return fmt.Errorf("stream layers: %w", s.backend.module.failure())
}

// HostBytes is the pinned host memory taken.
func (s *Slots) HostBytes() int64 { return int64(len(s.host)) }

// Close frees both memories once the device is done with them. It may be called twice.
func (s *Slots) Close() error {
	if s.host != nil {
		C.ggml_backend_synchronize(s.backend.ptr)
		C.qlora_module_unpin(s.backend.module.ptr, unsafe.Pointer(&s.host[0]))
		s.host = nil
	}
	return s.store.Close()
}
