package ggml

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// standIn exports what the CUDA module does, without a GPU: a sum over ranks that all hold the same doubles the values,
// after two looks, and a value of -1 never arrives.
const standIn = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nccl.h"
struct qlora_communicator { int world, looks; float * data; size_t n; };
int qlora_cuda_nccl_available(char * why) { snprintf(why, 256, "libnccl is not here"); return getenv("STAND_IN_MISSING") != NULL; }
int qlora_cuda_nccl_unique_id(char * id, char * why) { memset(id, 7, 128); return 0; }
int qlora_cuda_nccl_init(void * backend, const char * id, int rank, int world, struct qlora_communicator ** out, char * why) {
    if (id[127] != 7) { snprintf(why, 256, "another id"); return 1; }
    *out = calloc(1, sizeof **out);
    (*out)->world = world;
    return 0;
}
int qlora_cuda_nccl_all_reduce(struct qlora_communicator * c, void * data, size_t n, char * why) {
    c->data = data, c->n = n, c->looks = 0;
    return 0;
}
int qlora_cuda_nccl_poll(struct qlora_communicator * c, char * why) {
    if (c->data[0] == -1 || c->looks++ < 2) return QLORA_NCCL_PENDING;
    if (c->data[0] == -2) { snprintf(why, 256, "unhandled system error"); return QLORA_NCCL_FAILED; }
    for (size_t i = 0; i < c->n; i++) c->data[i] *= c->world;
    return QLORA_NCCL_DONE;
}
void qlora_cuda_nccl_destroy(struct qlora_communicator * c, int lost) { free(c); }
`

// buildStandIn compiles the stand-in against the header that the module is built with.
func buildStandIn(t *testing.T) string {
	t.Helper()
	source, path := filepath.Join(t.TempDir(), "standin.c"), filepath.Join(t.TempDir(), "standin.so")
	if err := os.WriteFile(source, []byte(standIn), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-I.", "-o", path, source).CombinedOutput(); err != nil {
		t.Fatalf("compile the stand-in: %v\n%s", err, out)
	}
	return path
}

func TestModuleWithoutNCCL(t *testing.T) {
	for path, want := range map[string]string{"libm.so.6": "does not export qlora_cuda_nccl_available", "no-such-module.so": "no-such-module.so"} {
		if _, err := (&Module{path: path}).NCCL(); !errors.Is(err, ErrNoNCCL) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	path := buildStandIn(t)
	t.Setenv("STAND_IN_MISSING", "1")
	if _, err := (&Module{path: path}).NCCL(); !errors.Is(err, ErrNoNCCL) || !strings.Contains(err.Error(), "libnccl is not here") {
		t.Errorf("a machine without libnccl: %v", err)
	}
}

func TestCommunicator(t *testing.T) {
	m := &Module{path: buildStandIn(t)}
	n, err := m.NCCL()
	if err != nil {
		t.Fatal(err)
	}
	id, err := n.UniqueID()
	if err != nil || len(id) != 128 {
		t.Fatalf("an id of %d bytes, %v", len(id), err)
	}
	b := &Backend{threads: 1, module: m} // the stand-in computes in ordinary memory
	for _, bad := range []struct {
		id          []byte
		rank, world int
	}{{id[:5], 0, 2}, {id, 2, 2}, {id, -1, 2}, {make([]byte, 128), 0, 2}} {
		if _, err := b.Communicator(n, bad.id, bad.rank, bad.world); err == nil {
			t.Errorf("%+v: started", bad)
		}
	}
	c, err := b.Communicator(n, id, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	x, closeStore := vector(t, 4)
	defer closeStore()
	lost := make(chan struct{})
	for _, step := range []struct {
		give, want []float32
		fails      string
	}{{[]float32{1, 2, 3, 4}, []float32{3, 6, 9, 12}, ""}, {[]float32{-2, 0, 0, 0}, nil, "unhandled system error"}, {[]float32{-1, 0, 0, 0}, nil, "a rank was lost"}} {
		if err := x.SetF32(0, step.give); err != nil {
			t.Fatal(err)
		}
		if step.fails == "a rank was lost" {
			close(lost)
		}
		err := c.AllReduce(x, lost)
		got := make([]float32, 4)
		if err := x.GetF32(0, got); err != nil {
			t.Fatal(err)
		}
		if step.fails == "" && (err != nil || !slices.Equal(got, step.want)) || step.fails != "" && !strings.Contains(errorText(err), step.fails) {
			t.Errorf("%v: %v, %v", step.give, got, err)
		}
	}
	if err := c.AllReduce(x, lost); err == nil {
		t.Error("a communicator that was given up still adds")
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// vector is an F32 tensor of n values on the CPU.
func vector(t *testing.T, n int64) (x *Tensor, closeAll func()) {
	t.Helper()
	cpu, err := NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	x = s.New("gradient", F32, n)
	if err := s.Alloc(cpu); err != nil {
		t.Fatal(err)
	}
	return x, func() { s.Close(); cpu.Close() }
}
