package chatlog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
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

// fuzzConvert converts a session and checks what comes out.
func fuzzConvert(t *testing.T, s *session) {
	t.Helper()
	o := Options{Sidechains: true, Summaries: true, ResultLimit: 40, Window: 200, Thinking: ThinkingField}.withDefaults()
	c := &converter{o: o, own: newOwners(), report: newReport()}
	c.own.add(0, s.survey(true))
	for _, talk := range c.convertSession(0, s, c.report) {
		if err := checkShape(*talk); err != nil {
			t.Fatal(err)
		}
		for _, line := range c.encode(talk, c.report) {
			if !json.Valid(line) {
				t.Fatalf("output %s", line)
			}
		}
	}
}
