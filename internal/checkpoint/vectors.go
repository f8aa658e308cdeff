package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
)

// A vector file is a 24-byte header and then Count vectors of Elements
// little-endian IEEE 754 single floats each:
//
//	 0  "QLORAF32"
//	 8  uint32 version, 1
//	12  uint32 count
//	16  uint64 elements
//
// Its checksum is in the marker.
const (
	vectorMagic   = "QLORAF32"
	vectorVersion = 1
	vectorHeader  = 24
	vectorChunk   = 1 << 15 // floats converted at a time
)

// writeVectors writes vectors of one length.
func writeVectors(w io.Writer, vectors ...[]float32) error {
	header := append(make([]byte, 0, vectorHeader), vectorMagic...)
	header = binary.LittleEndian.AppendUint32(header, vectorVersion)
	header = binary.LittleEndian.AppendUint32(header, uint32(len(vectors)))
	header = binary.LittleEndian.AppendUint64(header, uint64(len(vectors[0])))
	if _, err := w.Write(header); err != nil {
		return err
	}
	buffer := make([]byte, 4*vectorChunk)
	for _, v := range vectors {
		for len(v) > 0 {
			n := min(len(v), vectorChunk)
			for i, x := range v[:n] {
				binary.LittleEndian.PutUint32(buffer[4*i:], math.Float32bits(x))
			}
			if _, err := w.Write(buffer[:4*n]); err != nil {
				return err
			}
			v = v[n:]
		}
	}
	return nil
}

// readVectors reads a file that must hold exactly count vectors of elements
// floats; the sizes come from the caller, never from the file.
func readVectors(path string, count, elements int) ([][]float32, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if want := vectorHeader + 4*int64(count)*int64(elements); info.Size() != want {
		return nil, fmt.Errorf("%s has %d bytes, %d vectors of %d floats take %d", path, info.Size(), count, elements, want)
	}
	if err := checkVectorHeader(f, count, elements); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	vectors := make([][]float32, count)
	for i := range vectors {
		if vectors[i], err = readFloats(f, elements); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return vectors, nil
}

func checkVectorHeader(r io.Reader, count, elements int) error {
	header := make([]byte, vectorHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return err
	}
	if string(header[:8]) != vectorMagic {
		return fmt.Errorf("not a vector file: it begins with %q", header[:8])
	}
	if v := binary.LittleEndian.Uint32(header[8:]); v != vectorVersion {
		return fmt.Errorf("vector file version %d, this program reads %d", v, vectorVersion)
	}
	c, e := binary.LittleEndian.Uint32(header[12:]), binary.LittleEndian.Uint64(header[16:])
	if c != uint32(count) || e != uint64(elements) {
		return fmt.Errorf("%d vectors of %d floats, expected %d of %d", c, e, count, elements)
	}
	return nil
}

func readFloats(r io.Reader, n int) ([]float32, error) {
	out := make([]float32, 0, n)
	buffer := make([]byte, 4*vectorChunk)
	for len(out) < n {
		part := buffer[:4*min(n-len(out), vectorChunk)]
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, err
		}
		for i := 0; i < len(part); i += 4 {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(part[i:])))
		}
	}
	return out, nil
}
