package dataset

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// randomSet makes n samples of 1..maxLen tokens whose tokens name the sample:
// sample k, from 1, holds k*1000, k*1000+1, ...
func randomSet(r *rand.Rand, n, maxLen int) *Set {
	s := &Set{}
	for k := 1; k <= n; k++ {
		sample := Sample{File: "random", Line: k, Source: -1}
		for i := range 1 + r.IntN(maxLen) {
			sample.Tokens = append(sample.Tokens, int32(k*1000+i))
			sample.Train = append(sample.Train, r.IntN(3) > 0)
		}
		s.Samples = append(s.Samples, sample)
	}
	return s
}

// checkPlan verifies every promise Batch and Plan make and returns how often
// each sample was seen.
func checkPlan(s *Set, p *Plan) (seen []int, err error) {
	seen = make([]int, len(s.Samples))
	for n := range p.Len() {
		b := p.Batch(n)
		if err := checkBatch(s, b, seen); err != nil {
			return nil, fmt.Errorf("batch %d: %w", n, err)
		}
	}
	return seen, nil
}

func checkBatch(s *Set, b *Batch, seen []int) error {
	size := b.Rows * b.Length
	for _, v := range [][]int32{b.Tokens, b.Targets, b.Positions, b.Segments} {
		if len(v) != size {
			return fmt.Errorf("vector of %d, want %d", len(v), size)
		}
	}
	trained := 0
	for at := 0; at < size; {
		if b.Segments[at] != int32(at) || b.Positions[at] != 0 {
			return fmt.Errorf("position %d starts segment %d at rope position %d", at, b.Segments[at], b.Positions[at])
		}
		end := at + 1
		for end < size && b.Segments[end] == int32(at) {
			end++
		}
		if b.Tokens[at] == 0 { // padding: no sample has token 0
			if end != at+1 || b.Targets[at] != -1 {
				return fmt.Errorf("padding at %d is not alone", at)
			}
			at = end
			continue
		}
		k := int(b.Tokens[at])/1000 - 1
		want := s.Samples[k]
		if !slices.Equal(b.Tokens[at:end], want.Tokens) {
			return fmt.Errorf("segment at %d is %v, want sample %d", at, b.Tokens[at:end], k)
		}
		if at/b.Length != (end-1)/b.Length {
			return fmt.Errorf("sample %d crosses rows at %d", k, at)
		}
		for i := range want.Tokens {
			target := int32(-1)
			if i+1 < len(want.Tokens) && want.Train[i+1] {
				target = want.Tokens[i+1]
				trained++
			}
			if b.Targets[at+i] != target || b.Positions[at+i] != int32(i) {
				return fmt.Errorf("sample %d token %d: target %d position %d", k, i, b.Targets[at+i], b.Positions[at+i])
			}
		}
		seen[k]++
		at = end
	}
	if trained != b.Trained {
		return fmt.Errorf("Trained is %d, want %d", b.Trained, trained)
	}
	return nil
}

func TestPlanShowsEverySampleOnce(t *testing.T) {
	for trial := range 200 {
		seed := uint64(trial) + 77
		r := rand.New(rand.NewPCG(seed, 1))
		length := 1 + r.IntN(60)
		s := randomSet(r, 1+r.IntN(300), length)
		o := PackOptions{Rows: 1 + r.IntN(5), Length: length, Pack: r.IntN(2) == 0, Seed: seed, Shuffle: r.IntN(2) == 0}
		epoch := r.IntN(5)
		p := s.Plan(epoch, o)
		if p.Err() != nil {
			t.Fatalf("seed %d: %v", seed, p.Err())
		}
		seen, err := checkPlan(s, p)
		if err != nil {
			t.Fatalf("seed %d, %+v: %v", seed, o, err)
		}
		for k, n := range seen {
			if n != 1 {
				t.Fatalf("seed %d, %+v: sample %d seen %d times", seed, o, k, n)
			}
		}
		if !reflect.DeepEqual(p, s.Plan(epoch, o)) {
			t.Fatalf("seed %d, %+v: the plan is not a function of its inputs", seed, o)
		}
	}
}

func TestPlanOrderDependsOnEpochAndSeed(t *testing.T) {
	s := randomSet(rand.New(rand.NewPCG(5, 5)), 100, 9)
	o := PackOptions{Rows: 2, Length: 32, Pack: true, Seed: 1, Shuffle: true}
	first := s.Plan(0, o)
	if reflect.DeepEqual(first.rows, s.Plan(1, o).rows) {
		t.Error("epoch 1 repeats the order of epoch 0")
	}
	other := o
	other.Seed = 2
	if reflect.DeepEqual(first.rows, s.Plan(0, other).rows) {
		t.Error("seed 2 repeats the order of seed 1")
	}
	o.Shuffle = false
	if !reflect.DeepEqual(s.Plan(0, o).rows, s.Plan(1, o).rows) {
		t.Error("without shuffle epochs differ")
	}
}

func TestPlanUnpackedKeepsFileOrder(t *testing.T) {
	s := randomSet(rand.New(rand.NewPCG(6, 6)), 7, 9)
	p := s.Plan(3, PackOptions{Rows: 2, Length: 9})
	if p.Len() != 4 {
		t.Fatalf("%d batches, want 4", p.Len())
	}
	for i, row := range p.rows {
		if !slices.Equal(row, []int{i}) {
			t.Errorf("row %d holds %v", i, row)
		}
	}
}

func TestPackingFillsRows(t *testing.T) {
	s := randomSet(rand.New(rand.NewPCG(7, 7)), 2000, 200)
	p := s.Plan(0, PackOptions{Rows: 1, Length: 256, Pack: true, Seed: 3, Shuffle: true})
	if p.Fill() < 0.97 {
		t.Errorf("packing fills %.3f of the rows, want at least 0.97", p.Fill())
	}
}

func TestPlanWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	s := randomSet(r, 110, 9)
	s.Sources = []Source{{"a", 0.3}, {"b", 2}, {"c", 2.5}}
	for i := range s.Samples {
		s.Samples[i].Source = min(i/50, 2) // 50 of a, 50 of b, 10 of c
	}
	o := PackOptions{Rows: 2, Length: 32, Pack: true, Seed: 4, Shuffle: true}
	var draws [][]int
	for epoch := range 4 {
		seen, err := checkPlan(s, s.Plan(epoch, o))
		if err != nil {
			t.Fatal(err)
		}
		if sum(seen[:50]) != 15 || slices.Max(seen[:50]) != 1 {
			t.Errorf("epoch %d: weight 0.3 of 50 gives %v", epoch, seen[:50])
		}
		if slices.Min(seen[50:100]) != 2 || slices.Max(seen[50:100]) != 2 {
			t.Errorf("epoch %d: weight 2 gives %v", epoch, seen[50:100])
		}
		if sum(seen[100:]) != 25 {
			t.Errorf("epoch %d: weight 2.5 of 10 gives %v", epoch, seen[100:])
		}
		draws = append(draws, seen[:50])
	}
	if slices.Equal(draws[0], draws[1]) {
		t.Error("the subset of weight 0.3 is not drawn anew")
	}
}

// A fraction of a single sample still comes out right over several epochs.
func TestPlanWeightOfFewSamples(t *testing.T) {
	s := randomSet(rand.New(rand.NewPCG(9, 9)), 1, 5)
	s.Sources = []Source{{"a", 0.25}}
	s.Samples[0].Source = 0
	var perEpoch []int
	for epoch := range 8 {
		perEpoch = append(perEpoch, s.Plan(epoch, PackOptions{Rows: 1, Length: 8}).Len())
	}
	if !slices.Equal(perEpoch, []int{1, 0, 0, 0, 1, 0, 0, 0}) {
		t.Errorf("weight 0.25 of one sample gives %v", perEpoch)
	}
}

func TestPlanRefusesLongSample(t *testing.T) {
	s := randomSet(rand.New(rand.NewPCG(1, 1)), 3, 20)
	p := s.Plan(0, PackOptions{Rows: 1, Length: 1, Pack: true})
	if p.Err() == nil || p.Len() != 0 {
		t.Errorf("a sample longer than a row: err %v, %d batches", p.Err(), p.Len())
	}
}

func TestParseSource(t *testing.T) {
	for arg, want := range map[string]Source{
		"a.jsonl":      {"a.jsonl", 1},
		"a.jsonl:0.3":  {"a.jsonl", 0.3},
		"dir:x/a.json": {"dir:x/a.json", 1},
		"c:2":          {"c", 2},
	} {
		if got, err := ParseSource(arg); err != nil || got != want {
			t.Errorf("ParseSource(%q) = %v, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"", ":2", "a:0", "a:-1", "a:NaN", "a:inf", "a:1e9"} {
		if got, err := ParseSource(arg); err == nil {
			t.Errorf("ParseSource(%q) = %v, want an error", arg, got)
		}
	}
}

func sum(values []int) int {
	n := 0
	for _, v := range values {
		n += v
	}
	return n
}
