package chatlog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/shard"
)

// tree writes inputs of every kind and returns their folder.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(30) {
		files, _, _ := corpus(seed, 0)
		for _, f := range files { // sessions of one seed share history, those of two share names
			text := strings.ReplaceAll(strings.Join(f.lines, "\n"), "-", fmt.Sprintf("-%d-", seed%9))
			write(fmt.Sprintf("%02d/%s", seed, f.name), text)
		}
	}
	write("export.json", exportSample())
	var log strings.Builder
	for i := range 20 {
		fmt.Fprintf(&log, "%s\n%s\n", requestLine(askHi, sayHello, strings.Replace(askMore, "more", fmt.Sprint("more ", i/2), 1)), responseLine(fmt.Sprint("so ", i/3)))
	}
	write("proxy.jsonl", log.String())
	var requests, results strings.Builder
	for i := range 20 {
		fmt.Fprintln(&requests, batchRequestLine(fmt.Sprint(i), asked(fmt.Sprint("what ", i))))
		fmt.Fprintln(&results, batchResultLine(fmt.Sprint(25-i), fmt.Sprint("that ", i)))
	}
	write("batch/in.jsonl", requests.String())
	write("batch/out.jsonl", results.String())
	return dir
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// However the work is divided, the same bytes come out.
func TestWorkersAndShards(t *testing.T) {
	dir, out := tree(t), t.TempDir()
	for _, format := range Formats {
		o := Options{Sources: []string{dir}, Format: format, ResultLimit: 30, Window: 700}
		var want []byte
		for _, workers := range []int{1, 2, 8} {
			o.Workers, o.Out = workers, filepath.Join(out, fmt.Sprint(format, workers))
			if _, err := Convert(context.Background(), o); err != nil {
				t.Fatal(err)
			}
			got := read(t, o.Out)
			if want == nil {
				want = got
			}
			if len(got) == 0 || !bytes.Equal(got, want) {
				t.Errorf("%s, %d workers: %d bytes, want %d", format, workers, len(got), len(want))
			}
		}
		for _, n := range []int{1, 2, 7} {
			if got := shards(t, o, n); !bytes.Equal(got, want) {
				t.Errorf("%s, %d parts: %d bytes, want %d", format, n, len(got), len(want))
			}
		}
	}
}

// shards converts in n parts and merges them.
func shards(t *testing.T, o Options, n int) []byte {
	t.Helper()
	dir := t.TempDir()
	var parts []string
	for i := range n {
		o.Shard = shard.Spec{Index: i + 1, Count: n}
		o.Out = filepath.Join(dir, fmt.Sprint(i))
		if _, err := Convert(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, o.Out)
	}
	merged := filepath.Join(dir, "merged")
	if _, err := shard.Merge(context.Background(), merged, parts); err != nil {
		t.Fatal(err)
	}
	return read(t, merged)
}

// What all parts see is reported by one of them, so that joining counts it
// once.
func TestPartsCountProblemsOnce(t *testing.T) {
	dir, out := tree(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "broken.zip"), []byte("PK\x03\x04"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	whole, err := Convert(context.Background(), Options{Sources: []string{dir}, Out: filepath.Join(out, "whole")})
	if err != nil || whole.Dropped[reasonDamaged] != 1 || whole.Dropped[reasonLink] != 1 {
		t.Fatalf("%v, dropped %v", err, whole)
	}
	joined := prep.Tally{}
	skipped := 0
	for i := range 3 {
		part, err := Convert(context.Background(), Options{Sources: []string{dir}, Out: filepath.Join(out, fmt.Sprint(i)), Shard: shard.Spec{Index: i + 1, Count: 3}})
		if err != nil {
			t.Fatal(err)
		}
		joined.Merge(part.Dropped)
		skipped += part.Skipped
	}
	if !maps.Equal(joined, whole.Dropped) || skipped != whole.Skipped {
		t.Errorf("parts: %d skipped, %v\nwhole: %d skipped, %v", skipped, joined, whole.Skipped, whole.Dropped)
	}
}

// Parts of other inputs, measured with another vocabulary or made by other rules
// are not joined.
func TestForeignParts(t *testing.T) {
	one, two, out := logFile{"a.jsonl", []string{userLine("u1", "", "hi"), replyLine("a1", "u1", "m1", "hello")}}, t.TempDir(), t.TempDir()
	part := func(o Options, i int, text string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(two, one.name), []byte(strings.Join(one.lines, "\n")+text), 0o600); err != nil {
			t.Fatal(err)
		}
		o.Sources, o.Out, o.Shard = []string{two}, filepath.Join(out, fmt.Sprint(i)), shard.Spec{Index: i, Count: 2}
		if _, err := Convert(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		return o.Out
	}
	for _, tt := range []struct {
		o    Options
		text string
		want error
	}{
		{Options{Workers: 3}, "", nil},
		{Options{}, "\n{}", shard.ErrForeign},
		{Options{Window: 700}, "", shard.ErrForeign},
		{Options{TokenizerID: "other.gguf 5"}, "", shard.ErrForeign},
		{Options{RedactRules: "of another build"}, "", shard.ErrRules},
	} {
		_, err := shard.Merge(context.Background(), filepath.Join(out, "all"), []string{part(Options{}, 1, ""), part(tt.o, 2, tt.text)})
		if !errors.Is(err, tt.want) {
			t.Errorf("%v %q: %v", tt.o, tt.text, err)
		}
	}
}

// What is made of equal logs changes only together with rulesVersion, so that
// parts of two builds are not joined.
func TestRulesVersion(t *testing.T) {
	const want = "2 4e0c79a18aab53ea"
	dir, out := tree(t), filepath.Join(t.TempDir(), "o.jsonl")
	sum := sha256.New()
	for _, o := range []Options{
		{}, {Window: 300, ResultLimit: 30, Sidechains: true, Summaries: true, Thinking: ThinkingTags, SplitCalls: true},
		{Format: FormatShareGPT, Thinking: ThinkingField, ToolArgs: ArgsString}, {Format: FormatAlpaca, Cleaner: maskCleaner{}}, {Format: FormatCompletion},
	} {
		o.Sources, o.Out = []string{dir}, out
		if _, err := Convert(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		sum.Write(read(t, out))
	}
	if got := fmt.Sprintf("%d %x", rulesVersion, sum.Sum(nil)[:8]); got != want {
		t.Errorf("got %q, want %q: if other records are made of the same logs, raise rulesVersion; then write the new text here", got, want)
	}
}
