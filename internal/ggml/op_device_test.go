package ggml

import (
	"bytes"
	"fmt"
	"testing"
)

// opCase is an operation on tensors that build declares; it returns the nodes.
type opCase struct {
	name    string
	build   func(s *side) func(*Graph)
	aligned bool // rows begin at multiples of 16 bytes
}

// referenceThreads run the reference.
const referenceThreads = 2

// layouts: without any guard, on boundaries that allow wide loads, and on none.
var layouts = []layout{{"tight", 0, 0, 0, 0}, {"aligned", 8, 16, 70, 64}, {"odd", 3, 2, 1, 61}}

// testedTypes are those of activations on the backend under test.
func testedTypes(t *testing.T) []Type {
	t.Helper()
	module, err := testModule()
	switch {
	case err != nil:
		t.Fatal(err)
	case module == nil:
		return []Type{F32}
	case module.Devices()[0].Capability() < 80:
		return []Type{F32, F16}
	}
	return []Type{F32, F16, BF16}
}

// Every operation, on a device in F32, F16 and BF16 and on the CPU in F32, against the CPU in F32 on plain tensors: the same
// numbers, nothing read or written around them, and the same bytes a second time.
func TestOperationsAgainstReference(t *testing.T) {
	for _, typ := range testedTypes(t) {
		for i, c := range opCases() {
			for _, around := range layouts {
				if c.aligned && around.left%8 != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", typ, c.name, around.name), func(t *testing.T) {
					checkCase(t, uint64(300+i), typ, around, c.build)
				})
			}
		}
	}
}

func checkCase(t *testing.T, seed uint64, typ Type, around layout, build func(*side) func(*Graph)) {
	t.Helper()
	reference, err := NewCPU(referenceThreads)
	if err != nil {
		t.Fatal(err)
	}
	tested := testBackend(t, referenceThreads)
	t.Cleanup(func() { reference.Close(); tested.Close() })
	want := newSide(t, seed, reference, F32, typ, layout{})
	want.compute(build)
	var runs [2]*side
	for i := range runs {
		runs[i] = newSide(t, seed, tested, typ, typ, around)
		runs[i].compute(build)
	}
	runs[0].compare(want)
	for i, r := range runs[0].regions {
		if !bytes.Equal(r.raw, runs[1].regions[i].raw) {
			t.Errorf("%s: the second run gives other bytes (seed %d)", r.name, seed)
		}
	}
}

// The types in 16 bits need a device, and so do groups of linears.
func TestOperationsNeedADeviceIn16Bits(t *testing.T) {
	if module, err := testModule(); err != nil || module == nil {
		t.Skip("operations in F16 and BF16, and groups, run on devices only: set QLORA_CUDA_LIBRARY to test them")
	}
}

// opCases is the table of all operations of ops.h.
func opCases() (all []opCase) {
	for _, part := range [][]opCase{linearCases(), normCases(), ropeCases(), attentionCases(), elementwiseCases(), rowCases(), lossCases(), optimiserCases(), groupCases()} {
		all = append(all, part...)
	}
	return all
}
