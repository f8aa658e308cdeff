package checkpoint

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sample makes the state and progress of a step; equal steps give equal ones.
func sample(step int) (Progress, *State) {
	r := rand.New(rand.NewPCG(uint64(step), 9))
	s := &State{Params: []Param{
		{Name: "blk.0.attn_q.weight.lora_a", Dims: []int64{5, 2}, Offset: 0, Len: 10},
		{Name: "blk.0.attn_q.weight.lora_b", Dims: []int64{2, 7}, Offset: 12, Len: 14},
	}}
	for range 30 {
		s.Weights = append(s.Weights, float32(r.NormFloat64()))
		s.M = append(s.M, float32(r.NormFloat64()))
		s.V = append(s.V, float32(r.Float64()))
	}
	if step%2 == 0 { // old checkpoints, and those of other precisions, have none
		s.LossScale = &LossScale{Scale: 1 << 16, Good: step}
	}
	s.Weights[3] = float32(math.Copysign(0, -1))
	s.V[4] = math.SmallestNonzeroFloat32
	loss := 1 + r.Float64()
	p := Progress{Step: step, Updates: step - 1, Epoch: 2, MicroBatch: 17, Seed: math.MaxUint64,
		EvalStep: step, EvalLoss: &loss, BestEvalLoss: &loss, BestStep: step, BadEvals: 1,
		Window: Sums{Steps: 3, Loss: r.Float64(), Trained: 1 << 40, Tokens: 1 << 41, Seconds: r.Float64()},
		Total:  Sums{Steps: step, Loss: r.Float64()}, Schedule: "cosine",
		Settings: map[string]string{"rank": "16"}, ConfigHash: "c", DataFingerprint: "d"}
	return p, s
}

func save(t *testing.T, s *Store, step int) string {
	t.Helper()
	p, state := sample(step)
	path, err := s.Save(p, state)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// checkSample holds a loaded checkpoint to the one that sample(step) makes.
func checkSample(c *Checkpoint, step int) error {
	p, state := sample(step)
	if !reflect.DeepEqual(c.Progress, p) {
		return fmt.Errorf("progress %+v, want %+v", c.Progress, p)
	}
	if !reflect.DeepEqual(c.State.Params, state.Params) {
		return fmt.Errorf("params %+v", c.State.Params)
	}
	if !reflect.DeepEqual(c.State.LossScale, state.LossScale) {
		return fmt.Errorf("loss scale %+v, want %+v", c.State.LossScale, state.LossScale)
	}
	have := [][]float32{c.State.Weights, c.State.M, c.State.V}
	for k, want := range [][]float32{state.Weights, state.M, state.V} {
		if len(have[k]) != len(want) {
			return fmt.Errorf("vector %d has %d elements, want %d", k, len(have[k]), len(want))
		}
		for i := range want {
			if math.Float32bits(have[k][i]) != math.Float32bits(want[i]) {
				return fmt.Errorf("vector %d element %d is %g, want %g", k, i, have[k][i], want[i])
			}
		}
	}
	return nil
}

// testStore collects warnings instead of printing them.
func testStore(t *testing.T) (*Store, *[]string) {
	t.Helper()
	warnings := &[]string{}
	return NewStore(filepath.Join(t.TempDir(), "run"), func(text string) { *warnings = append(*warnings, text) }), warnings
}

func TestRoundTripIsExact(t *testing.T) {
	s, warnings := testStore(t)
	path := save(t, s, 12)
	if filepath.Base(path) != "checkpoint-12" {
		t.Errorf("saved as %s", path)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSample(c, 12); err != nil {
		t.Error(err)
	}
	if len(*warnings) > 0 {
		t.Errorf("warned: %q", *warnings)
	}
}

func TestExtraFilesAreSealed(t *testing.T) {
	s, _ := testStore(t)
	p, state := sample(1)
	extra := Extra{"adapter.gguf", func(path string) error { return os.WriteFile(path, []byte("GGUF"), 0o666) }}
	path, err := s.Save(p, state, extra)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "adapter.gguf"), []byte("GGUX"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); !errors.Is(err, ErrCorrupt) {
		t.Errorf("changed extra file: %v", err)
	}
	failing := Extra{"adapter.gguf", func(string) error { return errors.New("disk full") }}
	p, state = sample(2)
	if _, err := s.Save(p, state, failing); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("failing extra file: %v", err)
	}
}

// Any flipped byte, any cut and any missing file is found.
func TestDamageIsFound(t *testing.T) {
	for _, name := range []string{paramsName, momentsName, stateName, markerName} {
		s, _ := testStore(t)
		path := save(t, s, 3)
		full := filepath.Join(path, name)
		text, err := os.ReadFile(full)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, content []byte) {
			t.Helper()
			if err := os.WriteFile(full, content, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %s: error %v, want ErrCorrupt", name, what, err)
			}
		}
		for at := 0; at < len(text); at += 1 + len(text)/40 {
			damaged := append([]byte{}, text...)
			damaged[at] ^= 0x10
			check(fmt.Sprintf("byte %d flipped", at), damaged)
			check(fmt.Sprintf("cut at %d", at), text[:at])
		}
		if err := os.Remove(full); err != nil {
			t.Fatal(err)
		}
		want := ErrCorrupt
		if name == markerName {
			want = ErrIncomplete
		}
		if _, err := Load(path); !errors.Is(err, want) {
			t.Errorf("%s missing: error %v, want %v", name, err, want)
		}
	}
}

func TestSaveRefusesBadLayout(t *testing.T) {
	for name, spoil := range map[string]func(*State){
		"moment short": func(s *State) { s.V = s.V[1:] },
		"overlap":      func(s *State) { s.Params[1].Offset = 9 },
		"beyond end":   func(s *State) { s.Params[1].Offset = 17 },
		"dimensions":   func(s *State) { s.Params[0].Dims = []int64{5, 3} },
		"huge":         func(s *State) { s.Params[0].Dims = []int64{1 << 40, 1 << 40} },
	} {
		s, _ := testStore(t)
		p, state := sample(1)
		spoil(state)
		if _, err := s.Save(p, state); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
}

func TestSameLayout(t *testing.T) {
	_, a := sample(1)
	_, b := sample(2)
	if err := SameLayout(a.Params, b.Params); err != nil {
		t.Error(err)
	}
	b.Params[1].Dims = []int64{7, 2}
	err := SameLayout(a.Params, b.Params)
	if !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), "blk.0.attn_q.weight.lora_b") {
		t.Errorf("other dimensions: %v", err)
	}
	if err := SameLayout(a.Params[:1], a.Params); !errors.Is(err, ErrLayout) {
		t.Errorf("one tensor less: %v", err)
	}
}
