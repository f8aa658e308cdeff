package shard

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/prep"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Spec{"": {}, "1/1": {1, 1}, "1/2": {1, 2}, "7/7": {7, 7}} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0/2", "3/2", "2", "/", "a/b", "1/-1", "1/2/3", "-1/2"} {
		if got, err := Parse(text); !errors.Is(err, ErrSpec) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// Every key has exactly one owner, and similar names spread.
func TestOwns(t *testing.T) {
	for _, n := range []int{1, 2, 7, 64} {
		have := make([]int, n)
		for k := range 64 * 100 {
			owners := 0
			for i := 1; i <= n; i++ {
				if (Spec{i, n}).Owns(fmt.Sprintf("session-%04d.jsonl", k)) {
					owners++
					have[i-1]++
				}
			}
			if owners != 1 {
				t.Fatalf("key %d has %d owners of %d", k, owners, n)
			}
		}
		if mean := 6400 / n; slices.Min(have) < mean/2 || slices.Max(have) > 2*mean {
			t.Errorf("shares of %d parts: %v", n, have)
		}
	}
}

// sample is a record of a test: unit says which part makes it.
type sample struct {
	unit string
	key  Key
	text string
}

// samples draws records whose orders, IDs and ranks collide often.
func samples(seed uint64) []sample {
	rng := rand.New(rand.NewPCG(seed, 5))
	var all []sample
	for u := range rng.IntN(40) {
		unit := fmt.Sprintf("unit %d", u)
		for i := range rng.IntN(30) {
			s := sample{unit: unit, text: fmt.Sprintf("%s record %d <&>", unit, i)}
			s.key.Order = fmt.Sprintf("%02d\x00%s\xff/%d", rng.IntN(5), unit, rng.IntN(3))
			if rng.IntN(3) > 0 {
				s.key.ID = fmt.Sprintf("id %d", rng.IntN(60))
			}
			s.key.Rank = rng.Int64N(5) - 2
			all = append(all, s)
		}
	}
	return all
}

func write(t *testing.T, out string, spec Spec, all []sample) *Result {
	t.Helper()
	w, err := NewWriter(out, Header{Command: "test", Rules: "r", Spec: spec, Options: "o"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, s := range all {
		if spec.Owns(s.unit) {
			if err := w.Write(s.key, map[string]string{"text": s.text}); err != nil {
				t.Fatal(err)
			}
			w.Drop(prep.Tally{"odd": len(s.text) % 2})
		}
	}
	r, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// expected chooses and sorts in the plain way.
func expected(all []sample) (text string, lost int) {
	best := map[string]int{}
	better := func(a, b sample) bool {
		if a.key.Rank != b.key.Rank {
			return a.key.Rank > b.key.Rank
		}
		return a.key.valid().Order < b.key.valid().Order
	}
	for i, s := range all {
		if j, ok := best[s.key.ID]; s.key.ID != "" && (!ok || better(s, all[j])) {
			best[s.key.ID] = i
		}
	}
	var kept []sample
	for i, s := range all {
		if s.key.ID == "" || best[s.key.ID] == i {
			kept = append(kept, s)
		}
	}
	slices.SortStableFunc(kept, func(a, b sample) int { return strings.Compare(a.key.valid().Order, b.key.valid().Order) })
	var b strings.Builder
	for _, s := range kept {
		fmt.Fprintf(&b, "{\"text\":%q}\n", s.text)
	}
	return b.String(), len(all) - len(kept)
}

// A whole run, and the merge of 1, 2, 3 and 7 parts in any order, give the bytes
// of the plain way.
func TestMergedPartsAreTheWhole(t *testing.T) {
	for seed := range uint64(15) {
		dir, all := t.TempDir(), samples(seed)
		want, lost := expected(all)
		whole := write(t, filepath.Join(dir, "whole.jsonl"), Spec{}, all)
		if got := read(t, filepath.Join(dir, "whole.jsonl")); got != want || whole.Duplicates != int64(lost) {
			t.Fatalf("seed %d: a whole run gave %d lines, %d copies, want %d and %d",
				seed, strings.Count(got, "\n"), whole.Duplicates, strings.Count(want, "\n"), lost)
		}
		for _, n := range []int{1, 2, 3, 7} {
			var parts []string
			for i := range n {
				part := filepath.Join(dir, fmt.Sprintf("%d-of-%d.jsonl", i+1, n))
				write(t, part, Spec{i + 1, n}, all)
				parts = append(parts, part, KeysPath(part))
			}
			slices.Reverse(parts)
			out := filepath.Join(dir, fmt.Sprintf("merged-%d.jsonl", n))
			r, err := Merge(context.Background(), out, parts)
			if err != nil {
				t.Fatalf("seed %d, %d parts: %v", seed, n, err)
			}
			if read(t, out) != want {
				t.Errorf("seed %d: %d parts merge into other bytes", seed, n)
			}
			if r.SHA256 != whole.SHA256 || r.Records != whole.Records || r.Duplicates != whole.Duplicates ||
				r.Bytes != whole.Bytes || r.Dropped["odd"] != whole.Dropped["odd"] {
				t.Errorf("seed %d, %d parts: result %+v, want %+v", seed, n, r, whole)
			}
		}
		for name := range files(t, dir) {
			if !strings.HasSuffix(name, ".jsonl") && !strings.HasSuffix(name, ".jsonl.shard.json") {
				t.Errorf("left behind: %s", name)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func files(t *testing.T, dir string) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	return names
}

// Encoded places compare as places do, whatever bytes an order holds.
func TestPlacesKeepTheirOrder(t *testing.T) {
	const seed = 6
	rng := rand.New(rand.NewPCG(seed, 6))
	draw := func() place {
		order := make([]byte, rng.IntN(4))
		for i := range order {
			order[i] = "\x00\x01a\xff"[rng.IntN(4)]
		}
		return place{order: string(order), part: rng.IntN(3), number: rng.Int64N(3)}
	}
	for range 20_000 {
		a, b := draw(), draw()
		want := cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.part, b.part), cmp.Compare(a.number, b.number))
		if got := bytes.Compare(appendPlace(nil, a), appendPlace(nil, b)); got != want {
			t.Fatalf("seed %d: %+v and %+v compare as %d, want %d", seed, a, b, got, want)
		}
		if part, number := placeOf(appendPlace(nil, a)); part != a.part || number != a.number {
			t.Fatalf("seed %d: %+v is read back as %d, %d", seed, a, part, number)
		}
	}
}

func TestRawRecordsAreCopied(t *testing.T) {
	out := filepath.Join(t.TempDir(), "sub", "out.jsonl")
	w, err := NewWriter(out, Header{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Write(Key{}, json.RawMessage(`{"a" : 1}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(Key{}, json.RawMessage("{\n}")); err == nil {
		t.Error("a raw record of two lines was accepted")
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, out); got != "{\"a\" : 1}\n" {
		t.Errorf("wrote %q", got)
	}
	if names := files(t, filepath.Dir(out)); len(names) != 1 {
		t.Errorf("a whole run wrote %v", names)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(filepath.Join(dir, "out.jsonl"), Header{Spec: Spec{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(Key{Order: "a"}, 1); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(); err == nil {
		t.Error("Commit after Abort")
	}
	if names := files(t, dir); len(names) != 0 {
		t.Errorf("left %v", names)
	}
}

// What is not the set of all parts of one run is refused, and nothing written.
func TestMergeRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	all := append(samples(1), sample{unit: "unit 1", text: "last", key: Key{Order: "z"}})
	for i := range 2 {
		write(t, at(fmt.Sprintf("p%d", i+1)), Spec{i + 1, 2}, all)
		write(t, at(fmt.Sprintf("q%d", i+1)), Spec{i + 1, 3}, all)
	}
	change := func(name string, edit func(part, keys string) (string, string)) string {
		part, keys := edit(read(t, at("p2")), read(t, KeysPath(at("p2"))))
		for path, text := range map[string]string{at(name): part, KeysPath(at(name)): keys} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return at(name)
	}
	edited := change("edited", func(p, k string) (string, string) { return strings.Replace(p, "record", "Record", 1), k })
	longer := change("longer", func(p, k string) (string, string) { return p + "{}\n", k })
	torn := change("torn", func(p, k string) (string, string) { return p, k[:len(k)/2] })
	other := change("other", func(p, k string) (string, string) { return p, strings.Replace(k, `"options":"o"`, `"options":"x"`, 1) })
	newer := change("newer", func(p, k string) (string, string) { return p, strings.Replace(k, `"rules":"r"`, `"rules":"s"`, 1) })
	short := change("short", func(p, k string) (string, string) { return p[:len(p)/2], k })
	for _, tt := range []struct {
		name  string
		parts []string
		want  error
	}{
		{"nothing", nil, ErrMissing},
		{"one of two", []string{at("p2")}, ErrMissing},
		{"one twice", []string{at("p1"), at("p1"), at("p2")}, ErrForeign},
		{"other count", []string{at("p1"), at("q2")}, ErrForeign},
		{"other options", []string{at("p1"), other}, ErrForeign},
		{"other rules", []string{at("p1"), newer}, ErrRules},
		{"no keys", []string{at("none")}, os.ErrNotExist},
		{"edited", []string{at("p1"), edited}, ErrPart},
		{"longer", []string{at("p1"), longer}, ErrPart},
		{"torn keys", []string{at("p1"), torn}, ErrPart},
		{"torn part", []string{at("p1"), short}, nil},
	} {
		_, err := Merge(context.Background(), at("out"), tt.parts)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if files(t, dir)["out"] {
		t.Error("a refused merge wrote its output")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Merge(ctx, at("out"), []string{at("p1"), at("p2")}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestOptionsHash(t *testing.T) {
	a, err := OptionsHash(map[string]int{"seed": 1})
	b, _ := OptionsHash(map[string]int{"seed": 2})
	if err != nil || a == b || len(a) != 16 {
		t.Errorf("%q, %q, %v", a, b, err)
	}
	if _, err := OptionsHash(func() {}); err == nil {
		t.Error("a function was hashed")
	}
}
