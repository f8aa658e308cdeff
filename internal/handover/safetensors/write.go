package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Tensor is one to be written: its values in row-major order.
type Tensor struct {
	Name   string
	Shape  []int64
	Values []float32
}

// headerAlign is what the header is padded to with spaces, so that the bytes
// after it can be mapped.
const headerAlign = 8

// Write makes the file at path, which must not exist, with tensors in the
// given element type and order, and metadata beside them.
func Write(path, kind string, tensors []Tensor, metadata map[string]string) (err error) {
	header, err := header(kind, tensors, metadata)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			err = fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(path)))
		}
	}()
	if _, err := f.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		data, err := encode(kind, t.Values)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		if _, err := f.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// entry is a tensor in the JSON header.
type entry struct {
	Type    string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// metadataKey is the one key of the header that is no tensor.
const metadataKey = "__metadata__"

// header is the length and the JSON, padded.
func header(kind string, tensors []Tensor, metadata map[string]string) ([]byte, error) {
	entries := map[string]any{metadataKey: metadata}
	at := int64(0)
	for _, t := range tensors {
		if _, twice := entries[t.Name]; twice {
			return nil, fmt.Errorf("the name %s is taken", t.Name)
		}
		n, ok := elements(t.Shape)
		if !ok || n != int64(len(t.Values)) {
			return nil, fmt.Errorf("tensor %s: %d values are not of shape %v", t.Name, len(t.Values), t.Shape)
		}
		end := at + n*width(kind)
		entries[t.Name] = entry{Type: kind, Shape: t.Shape, Offsets: [2]int64{at, end}}
		at = end
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	if pad := len(text) % headerAlign; pad > 0 {
		text = append(text, bytes.Repeat([]byte{' '}, headerAlign-pad)...)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}
