package split

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// plant makes a text of n words and a copy of it whose Jaccard similarity is
// at least least, often not much more.
func plant(rng *rand.Rand, n int, least float64) (text, twin string) {
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprintf("w%d", rng.IntN(50_000))
	}
	text = strings.Join(words, " ")
	// A changed word spoils five runs of each text, or fewer.
	most := int(float64(n) * (1 - least) / (1 + least) / 5)
	for changes := rng.IntN(most + 2); ; changes-- {
		copied := slices.Clone(words)
		for range changes {
			copied[rng.IntN(n)] = fmt.Sprintf("x%d", rng.IntN(50_000))
		}
		twin = strings.Join(copied, " ")
		if plainJaccard(text, twin) >= least {
			return text, twin
		}
	}
}

// runs is the set of runs of five words, found in the plain way.
func runs(text string) map[string]bool {
	words, out := strings.Fields(strings.ToLower(text)), map[string]bool{}
	for i := 0; i+5 <= len(words); i++ {
		out[strings.Join(words[i:i+5], " ")] = true
	}
	return out
}

func plainJaccard(a, b string) float64 { return overlap(runs(a), runs(b)) }

func overlap(p, q map[string]bool) float64 {
	common := 0
	for s := range p {
		if q[s] {
			common++
		}
	}
	return float64(common) / float64(len(p)+len(q)-common)
}

// allRuns is runs of each text.
func allRuns(texts []string) (out []map[string]bool) {
	for _, text := range texts {
		out = append(out, runs(text))
	}
	return out
}

// wrap makes a record of one of the kinds around a text.
func wrap(t *testing.T, kind int, text string, i int) string {
	half := len(strings.Join(strings.Fields(text)[:len(strings.Fields(text))/2], " ")) // between the same words of twins
	var v any
	switch kind % 6 {
	case 0:
		v = map[string]any{"session": fmt.Sprint(i), "messages": []any{
			map[string]any{"role": "system", "content": fmt.Sprintf("unlike %d", i)},
			map[string]any{"role": "user", "content": text[:half]},
			map[string]any{"role": "tool", "content": strings.Repeat(fmt.Sprintf("dump %d ", i*7), 40)},
			map[string]any{"role": "assistant", "content": text[half:]}}}
	case 1:
		v = map[string]any{"conversations": []any{
			map[string]any{"from": "human", "value": text[:half]},
			map[string]any{"from": "observation", "value": fmt.Sprintf("unlike %d", i)},
			map[string]any{"from": "gpt", "value": text[half:]}}}
	case 2:
		v = map[string]any{"prefix": text[:half], "middle": text[half : half+9], "suffix": text[half+9:], "path": fmt.Sprintf("f%d.go", i)}
	case 3:
		v = map[string]any{"prompt": text[:half], "completion": text[half:]}
	case 4:
		v = map[string]any{"instruction": text[:half], "input": "", "output": text[half:]}
	default:
		v = map[string]any{"text": text}
	}
	line, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

// Of 1 000 planted pairs of similarity 0.8 and above, in all kinds of record
// and across kinds of one shape, none is on both sides, and none of the twins
// is kept. Records without a twin all stay.
func TestPlantedNearDuplicates(t *testing.T) {
	const pairs, seed = 1000, 11
	rng := rand.New(rand.NewPCG(seed, 1))
	var lines []string
	for i := range pairs {
		text, twin := plant(rng, 30+rng.IntN(200), 0.8)
		if j := plainJaccard(text, twin); j < 0.8 {
			t.Fatalf("planted a pair at %.3f", j)
		}
		lines = append(lines, wrap(t, i, text, 2*i), wrap(t, i, strings.ToUpper(twin), 2*i+1))
	}
	for i := range pairs {
		text, _ := plant(rng, 30+rng.IntN(200), 1)
		lines = append(lines, wrap(t, i, text, 1_000_000+i))
	}
	rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	dir := t.TempDir()
	m, err := Split(context.Background(), Options{
		Inputs: []string{writeFile(t, filepath.Join(dir, "in.jsonl"), lines...)}, Name: "x", OutDir: filepath.Join(dir, "out"),
		EvalFrac: 0.3, Near: 0.7, Workers: 2, Seed: seed,
	})
	if err != nil {
		t.Fatal(err)
	}
	left := m.Dropped[reasonNear] + m.Dropped[reasonChained] + m.Dropped[reasonDuplicate]
	if left != pairs || m.Outputs[0].Records+m.Outputs[1].Records != 2*pairs {
		t.Errorf("seed %d: left out %v, kept %d and %d; want %d left out",
			seed, m.Dropped, m.Outputs[0].Records, m.Outputs[1].Records, pairs)
	}
	if m.Leak.Over != 0 || m.Leak.Max >= 0.7 {
		t.Errorf("seed %d: leak %+v", seed, m.Leak)
	}
}

// On texts that share much, the outputs are compared with each other in the
// plain way: nothing in eval is at the threshold with anything in train, and
// the leak report names the largest similarity there is, when it is not small.
func TestNoLeakByBruteForce(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 2))
		lines := relatives(t, rng)
		dir := t.TempDir()
		o := Options{Inputs: []string{writeFile(t, filepath.Join(dir, "in.jsonl"), lines...)}, Name: "x", OutDir: dir,
			EvalFrac: 0.3, Near: 0.7, Seed: seed, Force: true}
		m, err := Split(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		largest := 0.0
		kept := texts(t, filepath.Join(dir, TrainFile))
		trained := allRuns(kept)
		for _, e := range allRuns(texts(t, filepath.Join(dir, EvalFile))) {
			for _, r := range trained {
				largest = max(largest, overlap(e, r))
			}
		}
		if largest >= 0.7 {
			t.Errorf("seed %d: a pair at %.3f is on both sides", seed, largest)
		}
		if largest > 0.5 && m.Leak.Max != largest || m.Leak.Max > largest {
			t.Errorf("seed %d: the report says %.3f, brute force %.3f", seed, m.Leak.Max, largest)
		}
		if m.Leak.Max > 0 {
			e, r := texts(t, filepath.Join(dir, EvalFile))[m.Leak.Eval-1], kept[m.Leak.Train-1]
			if got := plainJaccard(e, r); got != m.Leak.Max {
				t.Errorf("seed %d: the pair that is named is at %.3f, not %.3f", seed, got, m.Leak.Max)
			}
		}
		everyCopyHasItsOriginal(t, seed, lines, append(texts(t, filepath.Join(dir, EvalFile)), kept...))
	}
}

// relatives makes records that are like each other in three ways: copies of one
// text with some words changed; chains in which each is like the last, and less
// and less like the first; and families that share most of a text, of which
// each member has a twin.
func relatives(t *testing.T, rng *rand.Rand) (lines []string) {
	change := func(words []string, n int) {
		for range n {
			words[rng.IntN(len(words))] = fmt.Sprintf("y%d", rng.IntN(1000))
		}
	}
	add := func(words []string) { lines = append(lines, wrap(t, 5, strings.Join(words, " "), 0)) }
	for range 30 {
		base, _ := plant(rng, 60, 1)
		drifting := strings.Fields(base)
		for range 1 + rng.IntN(5) {
			words := strings.Fields(base)
			change(words, rng.IntN(6))
			add(words)
			change(drifting, 2)
			add(append(slices.Clone(drifting), slices.Repeat([]string{"z"}, rng.IntN(3))...))
		}
	}
	for range 4 {
		common, _ := plant(rng, 60, 1)
		for range 8 {
			own, twin := plant(rng, 30, 0.75)
			add(strings.Fields(common + " " + own))
			add(strings.Fields(common + " " + twin))
		}
	}
	return lines
}

func texts(t *testing.T, path string) (out []string) {
	for _, line := range readLines(t, path) {
		var r struct{ Text string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Text)
	}
	return out
}

// everyCopyHasItsOriginal: what was left out is near something that was kept,
// and of what was kept no two are near.
func everyCopyHasItsOriginal(t *testing.T, seed uint64, lines, kept []string) {
	t.Helper()
	sets := allRuns(kept)
	for _, line := range lines {
		var r struct{ Text string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		best, own := 0.0, runs(r.Text)
		for _, k := range sets {
			best = max(best, overlap(own, k))
		}
		if best < 0.7 {
			t.Errorf("seed %d: a record was left out whose nearest kept one is at %.2f", seed, best)
		}
	}
	for i, a := range sets {
		for _, b := range sets[:i] {
			if overlap(a, b) >= 0.7 {
				t.Errorf("seed %d: two near duplicates were kept", seed)
			}
		}
	}
}

// Workers, spilling, the number of passes and shards change nothing.
func TestSameBytes(t *testing.T) {
	dir := t.TempDir()
	paths, _ := randomData(5, dir, t)
	rng := rand.New(rand.NewPCG(5, 5))
	var lines []string
	for i := range 300 {
		text, twin := plant(rng, 20+rng.IntN(60), 0.6)
		lines = append(lines, wrap(t, i, text, i), wrap(t, i+rng.IntN(2)*5, twin, 1000+i), "{", "")
	}
	paths = append(paths, writeFile(t, filepath.Join(dir, "near.jsonl"), lines...))
	o := Options{Inputs: paths, Name: "x", OutDir: filepath.Join(dir, "out"), EvalFrac: 0.2, Near: 0.7, Workers: 1, Seed: 3, block: 5000, Force: true}
	if _, err := Split(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	want := snapshot(t, o.OutDir)
	same := func(name string) {
		t.Helper()
		got := snapshot(t, o.OutDir)
		for file, text := range want {
			if got[file] != text {
				t.Errorf("%s: other bytes in %s", name, file)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: files %d, want %d", name, len(got), len(want))
		}
		if err := os.RemoveAll(o.OutDir); err != nil {
			t.Fatal(err)
		}
	}
	for _, workers := range []int{2, 8} {
		o.Workers = workers
		if _, err := Split(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		same(fmt.Sprint(workers, " workers"))
	}
	o.SignatureRAM = 1
	if _, err := Split(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	same("spilled")
	for _, n := range []int{1, 2, 7} {
		p := o
		p.Parts = filepath.Join(dir, fmt.Sprint("parts", n))
		for i := range n {
			p.Shard.Index, p.Shard.Count = i+1, n
			if _, err := Part(context.Background(), p); err != nil {
				t.Fatal(err)
			}
		}
		p.Shard = o.Shard
		if _, err := Split(context.Background(), p); err != nil {
			t.Fatal(err)
		}
		same(fmt.Sprint(n, " shards"))
	}
}
