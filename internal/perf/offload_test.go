package perf

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/newmodel"
)

// shaped is the header of a published shape.
func shaped(t *testing.T, name, kind string) *gguf.File {
	t.Helper()
	p, err := newmodel.FindPreset(name)
	if err != nil {
		t.Fatal(err)
	}
	storage, err := newmodel.ParseStorage(kind, false)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newmodel.Synthetic{Preset: p, Storage: storage, Std: newmodel.DefaultStd}.Header()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func tensorBytes(f *gguf.File) (sum int64) {
	for _, tensor := range f.Tensors() {
		sum += tensor.Size
	}
	return sum
}

func TestOffloadTakesWhatFits(t *testing.T) {
	f := shaped(t, "7b", "q4_k_m")
	embed, _ := f.Tensor("token_embd.weight")
	const plenty = 1 << 40
	cache := int64(28 * 2 * 512 * 4 * 128 * 2)
	all, err := PlanOffload(f, 512, Budget{Device: plenty, Host: plenty})
	if err != nil || all.Layers != 29 || all.Of != 29 || all.Host != hostRuntime+embed.Size {
		t.Fatalf("everything: %+v, %v", all, err)
	}
	if rest := all.Device - cudaRuntime - (tensorBytes(f) - embed.Size) - cache; rest < 300<<20 || rest > 600<<20 {
		t.Errorf("the temporaries of 512 tokens are %d bytes; the logits alone are 297 MiB", rest)
	}
	last := all
	for n := 28; n >= 1; n-- {
		o, err := PlanOffload(f, 512, Budget{Device: last.Device - 1, Host: plenty})
		if err != nil || o.Layers != n || o.Device >= last.Device || o.Host <= last.Host {
			t.Fatalf("a byte less than %d layers need: %+v, %v", n+1, o, err)
		}
		if n < 28 && o.Device+o.Host != last.Device+last.Host {
			t.Errorf("%d layers: %d bytes on both sides, %d with one more", n, o.Device+o.Host, last.Device+last.Host)
		}
		last = o
	}
	if o, err := PlanOffload(f, 512, Budget{Device: last.Device - 1, Host: plenty}); err != nil || o.Layers != 0 || o.Device != 0 {
		t.Errorf("no layer fits: %+v, %v", o, err)
	}
}

func TestOffloadIntoTooLittle(t *testing.T) {
	f := shaped(t, "7b", "q8_0")
	var none *BudgetError
	if _, err := PlanOffload(f, 512, Budget{Host: 2 << 30}); !errors.As(err, &none) || none.Need.Layers != 0 {
		t.Errorf("8 GB in 2 GiB: %v", err)
	}
	if _, err := PlanOffload(f, 512, Budget{Device: 4 << 30, Host: 1 << 30}); !errors.As(err, &none) || none.Need.Layers == 0 {
		t.Errorf("8 GB in 4 and 1 GiB: %v", err)
	}
	if o, err := PlanOffload(f, 512, Budget{Device: 4 << 30, Host: 16 << 30}); err != nil || o.Layers < 8 || o.Layers > 14 {
		t.Errorf("8 GB in 4 and 16 GiB: %+v, %v", o, err)
	}
}

// A tied output is one tensor on the host, and a copy on the device.
func TestOffloadOfATiedOutput(t *testing.T) {
	f := shaped(t, "0.5b", "q8_0")
	host, err := PlanOffload(f, 32, Budget{Host: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	all, err := PlanOffload(f, 32, Budget{Device: 1 << 40, Host: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	embed, _ := f.Tensor("token_embd.weight")
	if both, want := all.Device+all.Host-cudaRuntime, host.Host+embed.Size; both != want {
		t.Errorf("%d bytes on both sides, want %d", both, want)
	}
}

func TestOffloadWithoutShape(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.gguf")
	llamatest.Adapter(t, path, llamatest.Options{Layers: 1}, llamatest.AdapterOptions{Rank: 2})
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := PlanOffload(f, 32, Budget{Host: 1 << 40}); err == nil {
		t.Error("an adapter was taken for a model")
	}
}
