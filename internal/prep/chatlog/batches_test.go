package chatlog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func batchRequestLine(id string, messages ...string) string {
	return fmt.Sprintf(`{"custom_id":%q,"params":{"model":"claude-x","max_tokens":100,"messages":[%s]}}`, id, strings.Join(messages, ","))
}

func batchResultLine(id, text string) string {
	return fmt.Sprintf(`{"custom_id":%q,"result":{"type":"succeeded","message":%s}}`, id, responseLine(text))
}

// asked are the messages of a request that asks text.
func asked(text string) string { return fmt.Sprintf(`{"role":"user","content":%q}`, text) }

// Results come in any order, in files of any name, and are joined by custom_id.
func TestBatches(t *testing.T) {
	requests := []string{batchRequestLine("a", asked("one")), batchRequestLine("b", asked("two"))}
	results := []string{batchResultLine("b", "second"), batchResultLine("a", "first")}
	want := []string{"u:one | a:first", "u:two | a:second"}
	body := `{"requests":[` + strings.Join(requests, ",") + `]}`
	for _, tt := range []struct {
		name  string
		files []logFile
	}{
		{"lines", []logFile{{"x.jsonl", requests}, {"a.jsonl", results}}},
		{"the body of the call", []logFile{{"x.json", []string{body}}, {"a.jsonl", results}}},
		{"the body over lines", []logFile{{"x.json", []string{strings.NewReplacer(`{"requests":[`, "{\n \"requests\": [\n", `,{"custom_id"`, ",\n{\"custom_id\"").Replace(body)}}, {"a.jsonl", results}}},
		{"the body, an item a line", []logFile{{"x.json", []string{strings.ReplaceAll(body, `{"custom_id"`, "\n{\"custom_id\"")}}, {"a.jsonl", results}}},
		{"an array", []logFile{{"x.json", []string{"[" + strings.Join(requests, ",") + "]"}}, {"a.jsonl", results}}},
		{"one file", []logFile{{"x.jsonl", slices.Concat(requests, results)}}},
		{"results in two files", []logFile{{"x.jsonl", requests}, {"a.jsonl", results[:1]}, {"y/a.jsonl", results[1:]}}},
		{"a long request", []logFile{{"x.jsonl", append([]string{batchRequestLine("c", asked(strings.Repeat("long ", firstLook)))}, requests...)},
			{"a.jsonl", append(results, `{"custom_id":"c","result":{"type":"expired"}}`)}}},
	} {
		got, report := convert(t, Options{}, tt.files...)
		found := briefs(got)
		slices.Sort(found)
		if !slices.Equal(found, want) || len(report.Problems) > 0 || report.Dropped[reasonNoRequest] > 0 {
			t.Errorf("%s: %q, %v, problems %v", tt.name, found, report.Dropped, report.Problems)
		}
		if report.Files != len(tt.files) || report.Others != 0 || got[0].Source != tt.files[0].name {
			t.Errorf("%s: %d files, %d others, source %s", tt.name, report.Files, report.Others, got[0].Source)
		}
	}
}

// What has no partner is counted, and so is what cannot be told apart.
func TestBatchesWithoutPartners(t *testing.T) {
	history := []string{asked("before"), `{"role":"assistant","content":"so"}`, asked("now")}
	got, report := convert(t, Options{}, logFile{"x.jsonl", []string{
		batchRequestLine("a", asked("one")), batchRequestLine("none", asked("two")), batchRequestLine("fails", history...),
		batchRequestLine("same", asked("three")), batchRequestLine("same", asked("four")), batchRequestLine("a", asked("one")), `{"custom_id":"x"}`, `{"custom_id":`,
	}}, logFile{"a.jsonl", []string{
		`{"custom_id":"fails","result":{"type":"errored","error":{"type":"error"}}}`, batchResultLine("same", "which"), batchResultLine("other", "what"), batchResultLine("a", "first"),
	}})
	if found := briefs(got); !slices.Equal(found, []string{"u:one | a:first", "u:before | a:so"}) {
		t.Errorf("got %q", found)
	}
	for reason, n := range map[string]int{reasonNoRequest: 2, reasonNoBatchResult: 1, reasonBatchFailed: 1, reasonCopy: 1, reasonMalformed: 3} {
		if report.Dropped[reason] != n {
			t.Errorf("%s: %d, want %d", reason, report.Dropped[reason], n)
		}
	}
	if got, report := convert(t, Options{}, logFile{"a.jsonl", []string{batchResultLine("a", "first")}}); len(got) > 0 || report.Dropped[reasonNoRequest] != 1 {
		t.Errorf("results alone: %q, %v", briefs(got), report.Dropped)
	}
}

// Files that are found twice are read once.
func TestBatchesFoundTwice(t *testing.T) {
	dir := t.TempDir()
	for name, line := range map[string]string{"in": batchRequestLine("a", asked("one")), "out": batchResultLine("a", "first")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Convert(context.Background(), Options{Sources: []string{dir, filepath.Join(dir, "in"), dir}, Out: filepath.Join(t.TempDir(), "o")})
	if err != nil || report.Conversations != 1 || report.Dropped[reasonTwin] != 3 || len(report.Dropped) != 1 {
		t.Errorf("%v, %+v", err, report)
	}
}

// With several files of requests, those with the ids of the results are theirs;
// among equal ones the folder and the name decide, and nothing is guessed.
func TestBatchesOfSeveralFiles(t *testing.T) {
	requests := func(name, text string, ids ...string) logFile {
		f := logFile{name: name}
		for _, id := range ids {
			f.lines = append(f.lines, batchRequestLine(id, asked(text+" "+id)))
		}
		return f
	}
	results := func(name, text string, ids ...string) logFile {
		f := logFile{name: name}
		for _, id := range ids {
			f.lines = append(f.lines, batchResultLine(id, text+" "+id))
		}
		return f
	}
	for _, tt := range []struct {
		name     string
		files    []logFile
		want     []string
		problems int
	}{
		{"by ids", []logFile{requests("1", "p", "a", "b"), requests("2", "q", "a", "c"), results("3", "q", "c", "a"), results("4", "p", "b", "a")},
			[]string{"u:p a | a:p a", "u:p b | a:p b", "u:q a | a:q a", "u:q c | a:q c"}, 0},
		{"by folder", []logFile{requests("x/1", "p", "a"), requests("y/2", "q", "a"), results("y/3", "q", "a"), results("x/4", "p", "a")},
			[]string{"u:p a | a:p a", "u:q a | a:q a"}, 0},
		{"by name", []logFile{requests("requests-1.jsonl", "p", "a"), requests("requests-2.jsonl", "q", "a"), results("results-2.jsonl", "q", "a"), results("results-1.jsonl", "p", "a")},
			[]string{"u:p a | a:p a", "u:q a | a:q a"}, 0},
		{"not at all", []logFile{requests("1", "p", "a"), requests("2", "q", "a"), results("3", "q", "a")}, nil, 1},
		{"of another batch", []logFile{requests("1", "p", "a"), requests("2", "q", "b"), results("3", "r", "c")}, nil, 0},
	} {
		got, report := convert(t, Options{}, tt.files...)
		found := briefs(got)
		slices.Sort(found)
		if !slices.Equal(found, tt.want) || len(report.Problems) != tt.problems || report.Dropped[reasonManyRequests] != tt.problems {
			t.Errorf("%s: %q, %v, problems %v", tt.name, found, report.Dropped, report.Problems)
		}
		if lost := report.Dropped[reasonNoRequest]; (lost > 0) != (len(tt.want) == 0) {
			t.Errorf("%s: %d results without a request", tt.name, lost)
		}
	}
}
