package chatlog

import (
	"context"

	"github.com/qlora/qlora/internal/prep"
)

// readCapture parses what a program printed as stream-json: records in the
// order of the conversation, those of a sub-agent marked by the call that
// started it. There is one session for each session id.
func readCapture(ctx context.Context, src source, p *parser, progress func(int64)) (*reading, error) {
	rd := newReading()
	var ids []string
	records := map[string][]*record{}
	last := map[string]string{} // end of each thread
	err := rd.readLines(ctx, src, progress, func(line prep.Line) {
		r, err := p.record(line.Data)
		if err != nil {
			rd.malformed(src.name, line, err)
			return
		}
		rd.types.Add(r.Type, 1)
		if !r.isTalk() {
			return
		}
		thread := r.Session + "\x00" + r.Thread
		r.UUID, r.Parent = "line "+itoa(line.Number)+" of "+src.name, last[thread]
		r.Sidechain = r.Thread != ""
		last[thread] = r.UUID
		if records[r.Session] == nil {
			ids = append(ids, r.Session)
		}
		records[r.Session] = append(records[r.Session], r)
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		s := newSession(src.name, records[id])
		if s.id == "" {
			s.id = baseName(src.name)
		}
		rd.sessions = append(rd.sessions, s)
	}
	return rd, nil
}
