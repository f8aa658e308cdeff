package chatlog

import (
	"bytes"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/prep"
)

// FuzzSession feeds files of any content through everything between the lines
// and the conversations: nothing may panic or hang, and what comes out has the
// shape that templates need.
func FuzzSession(f *testing.F) {
	for seed := range uint64(12) {
		files, _, _ := corpus(seed)
		f.Add([]byte(strings.Join(files[0].lines, "\n")))
	}
	f.Add([]byte(`{"type":"user","uuid":"a","parentUuid":"a","message":{"content":[1,"x",{"type":5}]}}`))
	f.Add([]byte("{\"type\":\"system\",\"subtype\":\"compact_boundary\",\"uuid\":\"b\",\"logicalParentUuid\":\"b\"}\n{\"type\":\"user\",\"uuid\":\"c\",\"parentUuid\":\"b\",\"message\":{\"content\":\"x\"}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var records []*record
		for line := range bytes.Lines(data) {
			if r, err := parseRecord(line); err == nil {
				records = append(records, r)
			}
		}
		s := newSession("f.jsonl", records)
		own := newOwners()
		own.add(0, s, s.segments(true))
		report := &Report{Dropped: prep.Tally{}, Held: prep.Tally{}}
		for _, c := range convertSession(Options{Sidechains: true, ResultLimit: 40}, 0, s, own, report) {
			if err := checkShape(*c); err != nil {
				t.Fatal(err)
			}
		}
	})
}
