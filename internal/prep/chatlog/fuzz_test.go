package chatlog

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzSession feeds files of any content through everything between the lines
// and the conversations: nothing may panic or hang, and what comes out has the
// shape that templates need.
func FuzzSession(f *testing.F) {
	for seed := range uint64(12) {
		files, _, _ := corpus(seed, 0)
		f.Add([]byte(strings.Join(files[0].lines, "\n")))
	}
	f.Add([]byte(`{"type":"user","uuid":"a","parentUuid":"a","message":{"content":[1,"x",{"type":5}]}}`))
	f.Add([]byte("{\"type\":\"system\",\"subtype\":\"compact_boundary\",\"uuid\":\"b\",\"logicalParentUuid\":\"b\"}\n{\"type\":\"user\",\"uuid\":\"c\",\"parentUuid\":\"b\",\"message\":{\"content\":\"x\"}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newParser(&Options{ResultLimit: 40}, false)
		var records []*record
		for line := range bytes.Lines(data) {
			if r, err := p.record(bytes.TrimSpace(line)); err == nil {
				records = append(records, r)
			}
		}
		fuzzConvert(t, newSession("f.jsonl", records))
	})
}

// fuzzRead reads a file of any content the way a run does, twice.
func fuzzRead(t *testing.T, k kind, data []byte) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, survey := range []bool{true, false} {
		p := newParser(&Options{ResultLimit: 40}, survey)
		f := &feeder{ctx: context.Background(), emit: func(task task) bool {
			rd, err := task.load(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range rd.sessions {
				fuzzConvert(t, s)
			}
			return true
		}}
		if err := f.all([]source{{path: path, name: "log", kind: k}}); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzExport(f *testing.F) {
	f.Add([]byte(exportSample()))
	f.Add([]byte("{\n\"chat_messages\":[{\"sender\":\"assistant\",\"uuid\":\"a\",\"parent_message_uuid\":\"a\",\"content\":[{\"type\":\"tool_result\"}]}]}"))
	f.Add([]byte(`{"uuid":"c","chat_messages":[{"sender":"human","text":"x"},{"sender":"assistant","text":"y"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, kindExport, data) })
}

func FuzzAPI(f *testing.F) {
	f.Add([]byte(requestLine(askHi, sayHello, askMore) + "\n" + responseLine("then")))
	f.Add([]byte(requestLine(askHi) + "\n" + streamLines(true)))
	f.Add([]byte(`{"request":` + requestLine(askHi) + `,"response":` + strconv.Quote(streamLines(false)) + `}`))
	f.Add([]byte("[" + requestLine(askHi, sayHello) + "]"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, kindAPI, data) })
}

func FuzzBatches(f *testing.F) {
	request, result := batchRequestLine("a", askHi), batchResultLine("a", "then")
	f.Add([]byte(request + "\n" + result + "\n" + request))
	f.Add([]byte(`{"requests":[` + request + `,{"custom_id":"a","params":{}}]}`))
	f.Add([]byte(`{"custom_id":"a","result":{"type":"canceled"}}` + "\n[" + result + "]"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, kindBatch, data) })
}

func FuzzCapture(f *testing.F) {
	f.Add([]byte(`{"type":"user","session_id":"s","parent_tool_use_id":null,"message":{"content":"hi"}}` + "\n" +
		`{"type":"assistant","session_id":"s","parent_tool_use_id":"t","message":{"id":"m","content":[{"type":"text","text":"x"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, kindStream, data) })
}

// FuzzSniff decides about anything, and about the same bytes alike.
func FuzzSniff(f *testing.F) {
	for _, text := range []string{exportSample(), requestLine(askHi), streamLines(true), userLine("u", "", "x"), `{"a":`, "[", "\x00", "event: ping"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := sniff(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := sniff(iotest.OneByteReader(bytes.NewReader(data))); again != once {
			t.Fatalf("%q, then %q", once, again)
		}
	})
}

// fuzzConvert converts a session and checks what comes out.
func fuzzConvert(t *testing.T, s *session) {
	t.Helper()
	o := Options{Sidechains: true, Summaries: true, ResultLimit: 40, Window: 200, Thinking: ThinkingField}.withDefaults()
	c := &converter{o: o, own: newOwners(), report: newReport()}
	c.own.add(0, s.survey(true))
	for _, talk := range c.convertSession(0, s, c.report) {
		rest := *talk
		if rest.Messages[0].Role == RoleSystem {
			rest.Messages = rest.Messages[1:]
		}
		if err := checkShape(rest); err != nil {
			t.Fatal(err)
		}
		for _, line := range c.encode(talk, c.report) {
			if !json.Valid(line) {
				t.Fatalf("output %s", line)
			}
		}
	}
}
