package split

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/qlora/qlora/internal/prep/extsort"
)

// A page holds the signatures of pageRows records: for each band the hashes of
// all rows, then the slots of each row.
const (
	pageRows  = 4096
	pageBands = bands * pageRows * 8
	pageBytes = pageBands + pageRows*slotBytes
)

// store holds signatures by record number: pages in memory up to a budget, the
// others in a file without a name.
type store struct {
	dir    string
	budget int64
	pages  [][]byte // in memory, the first ones
	file   *os.File // the pages after them
	last   []byte   // the page that is being filled
	rows   int
}

func newStore(dir string, budget int64) *store { return &store{dir: dir, budget: budget} }

// add takes the signature of the next record.
func (s *store) add(sig *signature) error {
	at := s.rows % pageRows
	if at == 0 {
		if err := s.turn(); err != nil {
			return err
		}
	}
	for band, h := range sig.bands {
		binary.LittleEndian.PutUint64(s.last[(band*pageRows+at)*8:], h)
	}
	slots := s.last[pageBands+at*slotBytes:]
	for i, v := range sig.slots {
		binary.LittleEndian.PutUint16(slots[2*i:], v)
	}
	s.rows++
	return nil
}

// turn puts the full page away and begins another.
func (s *store) turn() error {
	if s.last == nil {
		s.last = make([]byte, pageBytes)
		return nil
	}
	if int64(len(s.pages)+2)*pageBytes <= s.budget {
		s.pages = append(s.pages, s.last)
		s.last = make([]byte, pageBytes)
		return nil
	}
	if s.file == nil {
		if err := os.MkdirAll(s.dir, 0o777); err != nil {
			return fmt.Errorf("make the folder of the outputs: %w", err)
		}
		f, err := extsort.Unnamed(s.dir)
		if err != nil {
			return err
		}
		s.file = f
	}
	if _, err := s.file.Write(s.last); err != nil {
		return fmt.Errorf("spill signatures into %s: %w", s.dir, err)
	}
	return nil
}

// spilled is the number of bytes on disk.
func (s *store) spilled() int64 {
	if s.file == nil {
		return 0
	}
	return int64((s.rows-1)/pageRows-len(s.pages)) * pageBytes
}

// at returns size bytes at an offset of a page: of memory, or read into buf.
func (s *store) at(page, offset, size int, buf []byte) ([]byte, error) {
	if page < len(s.pages) {
		return s.pages[page][offset : offset+size], nil
	}
	if page == (s.rows-1)/pageRows {
		return s.last[offset : offset+size], nil
	}
	buf = buf[:size]
	if _, err := s.file.ReadAt(buf, int64(page-len(s.pages))*pageBytes+int64(offset)); err != nil {
		return nil, fmt.Errorf("read back signatures: %w", err)
	}
	return buf, nil
}

// band calls visit with the hash of one band of every record in order.
func (s *store) band(band int, visit func(id uint32, hash uint64)) error {
	buf := make([]byte, pageRows*8)
	for page := 0; page*pageRows < s.rows; page++ {
		hashes, err := s.at(page, band*pageRows*8, pageRows*8, buf)
		if err != nil {
			return err
		}
		for row := range min(pageRows, s.rows-page*pageRows) {
			visit(uint32(page*pageRows+row), binary.LittleEndian.Uint64(hashes[8*row:]))
		}
	}
	return nil
}

// slots returns the slots of a record, in memory of the store or in buf. It is
// safe for concurrent use once nothing is added.
func (s *store) slots(id uint32, buf []byte) ([]byte, error) {
	return s.at(int(id)/pageRows, pageBands+int(id)%pageRows*slotBytes, slotBytes, buf)
}

func (s *store) close() error {
	if s == nil || s.file == nil {
		return nil
	}
	return s.file.Close()
}
