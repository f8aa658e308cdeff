package chatlog

import (
	"strings"
	"testing"
)

// nameCleaner takes j.doe for a name wherever a path of a home begins with it.
type nameCleaner struct{}

func (nameCleaner) Clean(text string, counts map[string]int) string {
	if n := strings.Count(text, "/home/j.doe"); n > 0 {
		counts["home"] += n
	}
	return strings.ReplaceAll(text, "/home/j.doe", "/home/user")
}

// A request declares its tools; what it says of them holds secrets as anything
// else does. Names stay, since calls hold them too.
func TestRedactionOfTools(t *testing.T) {
	request := strings.NewReplacer(`"name":"f","description":"d"`, `"name":"hunter2","description":"d hunter2"`,
		`{"type":"object"}`, `{"type":"object","properties":{"p":{"description":"p hunter2"}}}`).Replace(requestLine(`{"role":"user","content":"hi"}`))
	file := logFile{"a.jsonl", []string{request, responseLine("hello"), strings.Replace(request, "hi", "ho", 1), responseLine("hola")}}
	data, report := run(t, Options{Cleaner: maskCleaner{}}, file)
	want := `"tools":[{"type":"function","function":{"name":"hunter2","description":"d <KEY>","parameters":{"type":"object","properties":{"p":{"description":"p <KEY>"}}}}}]`
	if strings.Count(string(data), want) != 2 || report.Redacted["password"] != 4 {
		t.Errorf("%v in %s", report.Redacted, data)
	}
	if data, report = run(t, Options{Cleaner: maskCleaner{}, DropSecrets: true}, file); len(data) > 0 || report != nil && report.Dropped[reasonSecret] != 2 {
		t.Errorf("not dropped: %s", data)
	}
}

// The folder of a session is named after the one that was worked in, and with
// it after the user; the name is the log's, so the conversation stays.
func TestRedactionOfOrigin(t *testing.T) {
	lines := []string{strings.Replace(userLine("u1", "", "hi"), `"uuid"`, `"cwd":"/home/j.doe/src","uuid"`, 1), replyLine("a1", "u1", "m1", "hello")}
	for _, tt := range []struct {
		o    Options
		file string
		want string
	}{
		{Options{}, "-home-j-doe-src/s.jsonl", "-home-j-doe-src/s.jsonl"},
		{Options{Cleaner: nameCleaner{}}, "-home-j-doe-src/s.jsonl", "-home-user-src/s.jsonl"},
		{Options{Cleaner: nameCleaner{}, DropSecrets: true}, "claude/-home-j-doe-src/s.jsonl", "claude/-home-user-src/s.jsonl"},
		{Options{Cleaner: maskCleaner{}}, "hunter2/s.jsonl", "<KEY>/s.jsonl"},
	} {
		got, report := convert(t, tt.o, logFile{tt.file, lines})
		if len(got) != 1 || got[0].Source != tt.want || (tt.want != tt.file) != (len(report.Redacted) == 1) {
			t.Errorf("%s: %v, redacted %v, dropped %v", tt.file, got, report.Redacted, report.Dropped)
		}
	}
}
