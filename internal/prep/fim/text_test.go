package fim

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
)

// What the encoder writes by hand is what encoding/json would write.
func TestEncoding(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 4))
		var b strings.Builder
		for range 1 + rng.IntN(60) {
			b.WriteString([]string{"a", `"`, `\`, "\n", "\r\n", "\t", "\b", "\f", "\x01", "\x7f", "<&>", "ä", "漢", "😀", "\u2028", "\u2029", "\xc2\xa8"}[rng.IntN(17)])
		}
		text := b.String()
		p := &picker{src: []byte(text)}
		cut := p.runeStart(rng.IntN(len(text) + 1))
		r := Record{
			Prefix: text[:cut], Suffix: text[cut:], Middle: text, Path: text, Lang: "go", Repo: "r", SpanKind: KindChar, Level: LevelRepo,
			Context: []dataset.ContextFile{{Path: "p", Content: text}, {Path: "q", Content: "x"}}, Start: 0, SHA256: "h", License: "MIT", Commit: "c", Masked: true,
		}
		var want strings.Builder
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
		f := &file{entry: entry{path: text}, repo: &Listing{Repo: "r", Commit: "c"}, lang: "go", hash: "h", license: "MIT", masked: map[string]int{"x": 1}}
		e := newEncoder(f, []byte(text))
		e.text = escape([]byte(text))
		got := string(e.fim(span{cut, cut, KindChar}, 0, len(text), LevelRepo, r.Context))
		got = strings.Replace(got, `"middle":""`, `"middle":"`+string(e.text.text)+`"`, 1)
		if got+"\n" != want.String() {
			t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want.String())
		}
	}
}

// Pre-rendered text holds the same samples as the records of another run.
func TestFamilyText(t *testing.T) {
	o := DefaultOptions()
	o.Repos, o.Levels = stdlib(t)[:2], Levels{File: 1, Repo: 1}
	data, _ := convert(t, o)
	records := decode[Record](t, data)
	o.Format = FormatText
	for _, family := range dataset.FIMFamilies() {
		o.Family = family
		data, report := convert(t, o)
		texts := decode[TextRecord](t, data)
		if len(texts) != len(records) {
			t.Fatalf("%s: %d texts of %d records", family, len(texts), len(records))
		}
		shown := 0
		for i, r := range records {
			want, ok, err := dataset.RenderFIM(family, dataset.FIMSample{
				Prefix: r.Prefix, Middle: r.Middle, Suffix: r.Suffix, Repo: r.Repo, Path: r.Path, Context: r.Context,
			})
			if err != nil || texts[i].Text != want || texts[i].SpanKind != r.SpanKind {
				t.Fatalf("%s: text %d is not the record, %v", family, i, err)
			}
			if !ok {
				shown++
			}
		}
		if report.Unshown != shown {
			t.Errorf("%s: %d contexts not shown, report says %d", family, shown, report.Unshown)
		}
	}
}

// wordCounter counts runs of letters, and everything else by bytes.
type wordCounter struct{}

func (wordCounter) Count(text string) (int, error) {
	n, in := 0, false
	for i := range len(text) {
		if wordByte[text[i]] == 0 {
			n++
			in = false
		} else if !in {
			n++
			in = true
		}
	}
	return n, nil
}

// With a vocabulary no record has more tokens than asked for; without one, by
// an estimate, none has more than three bytes a token.
func TestTokenBudget(t *testing.T) {
	for _, tokens := range []int{40, 300, 2000} {
		o := DefaultOptions()
		o.Repos, o.MaxTokens, o.Levels = stdlib(t)[:3], tokens, Levels{File: 1, Repo: 1}
		data, _ := convert(t, o)
		for _, r := range decode[Record](t, data) {
			if n := len(r.Prefix) + len(r.Middle) + len(r.Suffix) + contextSize(r); n > tokens*bytesPerToken {
				t.Fatalf("%d bytes for %d tokens", n, tokens)
			}
		}
		o.Counter = wordCounter{}
		data, report := convert(t, o)
		full := 0
		for _, r := range decode[Record](t, data) {
			n := 0
			for _, text := range []string{r.Prefix, r.Middle, r.Suffix} {
				k, _ := o.Counter.Count(text)
				n += k
			}
			for _, c := range r.Context {
				k, _ := o.Counter.Count(c.Path + "\n" + c.Content + "\n")
				n += k + 1
			}
			if n > tokens {
				t.Fatalf("%s: %d tokens, at most %d", r.Path, n, tokens)
			}
			if n > tokens*3/4 {
				full++
			}
		}
		if tokens == 300 && int64(full) < report.Records/2 {
			t.Errorf("only %d of %d records fill three quarters of %d tokens", full, report.Records, tokens)
		}
	}
}

// maskX masks the word SECRET.
type maskX struct{}

func (maskX) Clean(text string, counts map[string]int) string {
	if n := strings.Count(text, "SECRET"); n > 0 {
		counts["test"] += n
	}
	return strings.ReplaceAll(text, "SECRET", "<KEY>")
}

func TestRedaction(t *testing.T) {
	o := DefaultOptions()
	o.Cleaner, o.Levels = maskX{}, Levels{File: 1, Repo: 1}
	o.Repos = []string{tree(t, map[string]string{
		"a.go": "package p\n\nvar key = \"SECRET\"\n\n" + body(1), "b.go": "package p\n\n" + body(2), "c.go": "package p\n\n// SECRET\n\n" + body(3),
	})}
	for _, tt := range []struct {
		mode         string
		used, masked int
	}{{RedactMask, 3, 2}, {RedactDrop, 1, 0}, {RedactOff, 3, 0}} {
		o.Redact = tt.mode
		data, report := convert(t, o)
		if report.Used != tt.used || report.Masked != tt.masked || report.Redacted["test"] != tt.masked || report.Left[reasonSecret] != 3-tt.used {
			t.Errorf("%s: %d used, %d masked, %v, left out %v", tt.mode, report.Used, report.Masked, report.Redacted, report.Left)
		}
		if strings.Contains(string(data), "SECRET") != (tt.mode == RedactOff) {
			t.Errorf("%s: the secret is there or not", tt.mode)
		}
		if strings.Contains(string(data), `"masked":true`) != (tt.mode == RedactMask) {
			t.Errorf("%s: marked or not", tt.mode)
		}
	}
}

// A file that cannot be read is counted; with Strict it ends the run.
func TestUnreadable(t *testing.T) {
	dir := tree(t, map[string]string{"a.go": "package p\n\n" + body(1), "b.go": "package p\n\n" + body(2)})
	l, err := list(context.Background(), dir, "r", "")
	if err != nil {
		t.Fatal(err)
	}
	l.reader = failing{}
	for _, strict := range []bool{false, true} {
		o := DefaultOptions()
		o.Strict, o.Out = strict, filepath.Join(t.TempDir(), "x")
		report := newReport(o)
		out, err := newSink(o, "")
		if err != nil {
			t.Fatal(err)
		}
		err = (&run{Options: o, report: report, out: out, seen: map[string]bool{}, repo: l}).convert(context.Background())
		out.abort()
		if (err != nil) != strict || !strict && report.Skipped != 2 {
			t.Errorf("strict %t: %v, %d skipped", strict, err, report.Skipped)
		}
	}
}

type failing struct{}

func (failing) read(context.Context, entry) ([]byte, error) { return nil, errChanged }
func (failing) close() error                                { return nil }

// A folder that may not be read is named and passed over; with Strict it ends
// the run.
func TestLockedFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := tree(t, map[string]string{"a.go": "package p\n\n" + body(1), "sub/b.go": "package p\n\n" + body(2), "tub/c.go": "package p\n\n" + body(3)})
	for name, mode := range map[string]os.FileMode{"sub": 0, "tub": 0o100} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(filepath.Join(dir, name), 0o700) // so that it can be removed
	}
	o := DefaultOptions()
	o.Repos = []string{dir}
	if _, report := convert(t, o); report.Used != 1 || report.Skipped != 2 || report.Problems[0].File != "repo/sub" {
		t.Errorf("used %d, problems %v", report.Used, report.Problems)
	}
	o.Strict, o.Out = true, filepath.Join(t.TempDir(), "x")
	if _, err := Convert(context.Background(), o); !errors.Is(err, os.ErrPermission) {
		t.Errorf("strict: %v", err)
	}
}
