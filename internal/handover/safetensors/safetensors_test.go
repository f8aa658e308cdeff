package safetensors_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/handover/safetensors"
)

func randomTensors(seed uint64) []safetensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	var out []safetensors.Tensor
	for i, shape := range [][]int64{{3, 5}, {1}, {}, {0, 4}, {2, 3, 4}} {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		values := make([]float32, n)
		for j := range values {
			values[j] = float32(rng.NormFloat64())
		}
		out = append(out, safetensors.Tensor{Name: "tensor." + string(rune('a'+i)), Shape: shape, Values: values})
	}
	return out
}

func TestReadsWhatItWrites(t *testing.T) {
	const seed = 3
	// the largest error of rounding to each type, relative to the value
	for kind, most := range map[string]float64{safetensors.F32: 0, safetensors.BF16: 1.0 / 256, safetensors.F16: 1.0 / 2048} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		want := randomTensors(seed)
		if err := safetensors.Write(path, kind, want, map[string]string{"format": "pt"}); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Metadata["format"] != "pt" || len(f.Tensors) != len(want) {
			t.Errorf("%s: metadata %v, %d tensors", kind, f.Metadata, len(f.Tensors))
		}
		for _, info := range f.Tensors {
			w := want[slices.IndexFunc(want, func(x safetensors.Tensor) bool { return x.Name == info.Name })]
			got, err := f.Values(info)
			if err != nil || info.Type != kind || !slices.Equal(info.Shape, w.Shape) || len(got) != len(w.Values) {
				t.Fatalf("%s of %s %v: %d values, %v", info.Name, info.Type, info.Shape, len(got), err)
			}
			for i := range got {
				if d := math.Abs(float64(got[i] - w.Values[i])); d > most*math.Abs(float64(w.Values[i])) {
					t.Errorf("seed %d, %s, %s: value %d is %g, want %g", seed, kind, info.Name, i, got[i], w.Values[i])
				}
			}
		}
	}
}

// TestLayout holds the bytes to the format's documentation.
func TestLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	err := safetensors.Write(path, safetensors.F32, []safetensors.Tensor{{Name: "a", Shape: []int64{2}, Values: []float32{1, -2}}}, map[string]string{"k": "v"})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(path)
	n := binary.LittleEndian.Uint64(data)
	const header = `{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	if n%8 != 0 || strings.TrimRight(string(data[8:8+n]), " ") != header {
		t.Errorf("header of %d bytes: %s", n, data[8:8+n])
	}
	if want := "\x00\x00\x80\x3f\x00\x00\x00\xc0"; string(data[8+n:]) != want {
		t.Errorf("data % x", data[8+n:])
	}
}

func TestHalvesRoundToNearest(t *testing.T) {
	for _, c := range []struct{ in, want float32 }{
		{0, 0}, {1, 1}, {65504, 65504}, {65519, 65504}, {1.0 / (1 << 24), 1.0 / (1 << 24)}, {1.0 / (1 << 26), 0}, {1 + 1.0/2048, 1}, {1 + 3.0/2048, 1 + 2.0/1024},
		{-0.1, -0.0999755859375}, {float32(math.Ldexp(1023.75, -24)), float32(math.Ldexp(1, -14))},
	} {
		path := filepath.Join(t.TempDir(), "h")
		if err := safetensors.Write(path, safetensors.F16, []safetensors.Tensor{{Name: "a", Shape: []int64{1}, Values: []float32{c.in}}}, nil); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Values(f.Tensors[0])
		if err != nil || got[0] != c.want {
			t.Errorf("%g becomes %g (%v), want %g", c.in, got[0], err, c.want)
		}
		f.Close()
	}
	path := filepath.Join(t.TempDir(), "big")
	err := safetensors.Write(path, safetensors.F16, []safetensors.Tensor{{Name: "big", Shape: []int64{1}, Values: []float32{65520}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "big") {
		t.Errorf("65520 in F16: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a failed write left a file")
	}
}

func TestRefusesBrokenFiles(t *testing.T) {
	file := func(header, data string) string {
		return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + data
	}
	for name, text := range map[string]string{
		"empty":           "",
		"long header":     "\xff\xff\xff\xff\xff\xff\xff\x7f{}",
		"header past end": "\x20\x00\x00\x00\x00\x00\x00\x00{}",
		"no JSON":         file("hello", ""),
		"gap":             file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678"),
		"overlap":         file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
		"past end":        file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "1234"),
		"bytes left":      file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "12345"),
		"wrong size":      file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, "1234"),
		"negative":        file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, "1234"),
		"overflow":        file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}`, "1234"),
		"backwards":       file(`{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,-4]}}`, ""),
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if f, err := safetensors.Open(path); err == nil {
			t.Errorf("%s: accepted", name)
			f.Close()
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error names no file: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Add([]byte("\x36\x00\x00\x00\x00\x00\x00\x00" + `{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}` + "12"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		file, err := safetensors.Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		for _, info := range file.Tensors {
			file.Values(info)
		}
	})
}
