package stats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
)

var update = flag.Bool("update", false, "write the golden files anew")

// byteEncoder has a token for each byte of the text; those of the last half
// carry loss.
type byteEncoder struct{}

func (byteEncoder) Encode(r *dataset.Record) (*dataset.Sequence, error) {
	n := len(r.Field("text"))
	for _, m := range r.Messages() {
		n += len(m.Content)
	}
	if n > 90000 {
		return nil, errors.New("too much for the model")
	}
	q := &dataset.Sequence{Tokens: make([]int32, n), Train: make([]bool, n)}
	for i := n / 2; i < n; i++ {
		q.Train[i] = true
	}
	return q, nil
}

// write makes a data file and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

const mixed = "\xef\xbb\xbf" + `{"messages":[{"role":"user","content":"Where are numbers parsed?"},{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"Grep","arguments":{"pattern":"parse"}}}]},{"role":"tool","tool_call_id":"1","name":"Grep","content":"scan.go"},{"role":"assistant","content":"In scan.go."}],"source":"calc/a.jsonl"}

{"messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi","train":false}],"source":"calc/b.jsonl"}
{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}
{"instruction":"say b","output":"b"}
{"prompt":"a","completion":"b"}
{"prefix":"func f() {","suffix":"}","middle":" return ","lang":"go","repo":"calc"}
{"text":"some words of text","language":"English"}
{"text":"some words of text","source":"elsewhere"}
{"text": broken
{"question":"?"}
{"messages":[{"role":"user","content":"x"},{"role":"user"}]}
` + "{\"text\":\"\xff\"}\n"

func TestRunCounts(t *testing.T) {
	path := write(t, "mixed.jsonl", mixed)
	r, err := Run(context.Background(), Options{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	if r.All.Samples != 8 || r.Duplicates != 1 || r.All.Untrained != 1 {
		t.Errorf("%d samples, %d duplicates, %d untrained, want 8, 1 and 1", r.All.Samples, r.Duplicates, r.All.Untrained)
	}
	var places []string
	for _, p := range r.Problems {
		places = append(places, fmt.Sprint(p.Line))
	}
	if got := strings.Join(places, " "); got != "10 11 12 13" || r.Skipped != 4 {
		t.Errorf("skipped %d lines: %s, want 10 to 13", r.Skipped, got)
	}
	for reason, n := range map[string]int{"broken JSON": 1, "no known kind of record": 1, "not valid UTF-8": 1,
		"has neither content nor tool_calls": 1} {
		if r.Reasons[reason] != n {
			t.Errorf("reason %q: %d, want %d in %v", reason, r.Reasons[reason], n, r.Reasons)
		}
	}
	checkCounts(t, "kinds", r.All.Kinds, "text 2, messages 2, sharegpt 1, alpaca 1, prompt/completion 1, fim 1")
	checkCounts(t, "tools", r.All.Tools, "Grep 1")
	checkCounts(t, "sources", r.All.Sources, "calc 3, elsewhere 1")
	checkCounts(t, "languages", r.All.Languages, "English 1, go 1")
	if sum := sumOf(r.All.Histogram); sum != r.All.Samples {
		t.Errorf("the histogram holds %d samples of %d", sum, r.All.Samples)
	}
}

func checkCounts(t *testing.T, what string, c Counts, want string) {
	t.Helper()
	have := map[string]bool{}
	for _, n := range c.Top {
		have[fmt.Sprintf("%s %d", n.Name, n.N)] = true
	}
	for _, part := range strings.Split(want, ", ") {
		if !have[part] {
			t.Errorf("%s: %v lacks %q", what, c.Top, part)
		}
	}
	if c.Distinct != len(strings.Split(want, ", ")) {
		t.Errorf("%s: %d names, want %s", what, c.Distinct, want)
	}
}

func sumOf(bins []Bin) (n int64) {
	for _, b := range bins {
		n += b.Samples
	}
	return n
}

// TestRunDoesNotDependOnWorkers compares reports of random files, some of whose
// lines are broken.
func TestRunDoesNotDependOnWorkers(t *testing.T) {
	const seed = 11
	r := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	for i := range 3000 {
		switch r.IntN(12) {
		case 0:
			b.WriteString("{\"text\":\n")
		case 1:
			fmt.Fprintf(&b, "{\"text\":%q}\n", strings.Repeat("x", 100000*r.IntN(2)+1))
		default:
			fmt.Fprintf(&b, "{\"text\":%q,\"source\":\"s%d\"}\n", strings.Repeat("word ", 1+r.IntN(900)), i%70)
		}
	}
	path := write(t, "random.jsonl", b.String())
	var want []byte
	for _, workers := range []int{1, 2, 8} {
		report, err := Run(context.Background(), Options{Paths: []string{path, path}, Encoder: byteEncoder{}, Workers: workers})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %d workers report\n%s\nwant\n%s", seed, workers, got, want)
		}
		if report.Duplicates < report.All.Samples/2 {
			t.Errorf("each line is there twice, but only %d of %d are duplicates", report.Duplicates, report.All.Samples)
		}
	}
}

func TestRunFails(t *testing.T) {
	path := write(t, "mixed.jsonl", mixed)
	_, err := Run(context.Background(), Options{Paths: []string{path}, Strict: true})
	var line *LineError
	if !errors.As(err, &line) || line.Line != 10 {
		t.Errorf("strict: %v, want an error at line 10", err)
	}
	empty := write(t, "empty.jsonl", "\n{}\n")
	r, err := Run(context.Background(), Options{Paths: []string{empty}})
	if !errors.Is(err, ErrNothing) || r == nil || r.Skipped != 1 {
		t.Errorf("nothing usable: %v, report %v", err, r)
	}
	if _, err := Run(context.Background(), Options{Paths: []string{filepath.Dir(path)}}); err == nil {
		t.Error("a folder is no data file")
	}
	if _, err := Run(context.Background(), Options{Paths: []string{path + ".missing"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Options{Paths: []string{path}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestProgressIsTheSizeOfTheFiles(t *testing.T) {
	path := write(t, "mixed.jsonl", mixed)
	var total, done int64
	_, err := Run(context.Background(), Options{Paths: []string{path, path},
		Total: func(n int64) { total = n }, Progress: func(n int64) { done += n }})
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(2 * len(mixed)); total != want || done != want {
		t.Errorf("total %d, done %d, want %d", total, done, want)
	}
}

func TestCounterIsBounded(t *testing.T) {
	var c counter
	for i := range maxNames + 100 {
		c.add(fmt.Sprint("name", i), 2)
	}
	c.add("name7", 5)
	got := c.counts()
	if got.Distinct != maxNames || got.Total() != 2*(maxNames+100)+5 || got.Top[0] != (Count{"name7", 7}) {
		t.Errorf("distinct %d, total %d, first %v", got.Distinct, got.Total(), got.Top[0])
	}
}

func TestReasonsAreShared(t *testing.T) {
	tally := prep.Tally{}
	for i := range 500 {
		addReason(tally, fmt.Errorf("message %d: content part %d: has no text", i, i))
		addReason(tally, errors.New(strings.Repeat("x", i%200)))
	}
	if tally["has no text"] != 500 || len(tally) > maxReasons+1 || tally.Total() != 1000 {
		t.Errorf("%d reasons, total %d: %v", len(tally), tally.Total(), tally)
	}
}
