package chatlog

import "github.com/qlora/qlora/internal/prep"

// convertSession makes the conversations of one session.
func (c *converter) convertSession(unit uint64, s *session, report *Report) []*Conversation {
	segments := s.segments(c.o.Sidechains)
	parts, answers := s.responses()
	taken := map[string]bool{}
	var out []*Conversation
	for i, seg := range segments {
		t := turns{
			o: &c.o, session: s, margin: c.margin(), dropped: report.Dropped,
			answers: answers[seg.sidechain], parts: parts[seg.sidechain], taken: taken,
		}
		messages := t.build(seg.records)
		if len(messages) == 0 {
			continue
		}
		talk := &Conversation{
			Messages: messages, Source: s.file, Session: s.id, Segment: i,
			Group: c.own.group(s.id), Sidechain: seg.sidechain,
		}
		if talk.keep(unit, i, c.own, report.Dropped) {
			out = append(out, c.finish(talk, s, report)...)
		}
	}
	s.countUnused(segments, c.o.Sidechains, report.Dropped)
	report.Dropped.Add(reasonServerTool, s.servers)
	return out
}

// keep holds back the replies that another conversation trains and tells
// whether anything is left to learn.
func (c *Conversation) keep(unit uint64, segment int, own *owners, dropped prep.Tally) bool {
	if c.Messages[0].Content == "Warmup" {
		dropped.Add(reasonWarmup, 1)
		return false
	}
	before := c.trainedReplies()
	for i := range c.Messages {
		m := &c.Messages[i]
		for _, key := range m.keys {
			if !own.owns(key, unit, segment) {
				m.hold(heldCopied)
			}
		}
	}
	switch {
	case c.trainedReplies() > 0:
		return true
	case before > 0:
		dropped.Add(reasonResumeCopy, 1)
	default:
		dropped.Add(reasonNoReply, 1)
	}
	return false
}

// responses gathers, apart for sidechains and the rest, the assistant records
// of each response and the tool results by call. They are taken from the whole
// file: the results of parallel calls hang off different records of one
// response, so that a single branch passes only one of them.
func (s *session) responses() (parts map[bool]map[string][]*record, answers map[bool]map[string]block) {
	parts = map[bool]map[string][]*record{false: {}, true: {}}
	answers = map[bool]map[string]block{false: {}, true: {}}
	for _, r := range s.records {
		switch {
		case r.message == nil:
		case r.Type == typeAssistant:
			key := r.responseKey()
			parts[r.Sidechain][key] = append(parts[r.Sidechain][key], r)
		case r.Type == typeUser:
			for _, b := range r.message.blocks {
				if _, have := answers[r.Sidechain][b.Answers]; b.Type == blockToolResult && !have {
					answers[r.Sidechain][b.Answers] = b
				}
			}
		}
	}
	return parts, answers
}

// countUnused counts the talk records that no segment holds.
func (s *session) countUnused(segments []segment, sidechains bool, dropped prep.Tally) {
	used := map[*record]bool{}
	responses := map[string]bool{}
	for _, seg := range segments {
		for _, r := range seg.records {
			used[r] = true
			if r.Type == typeAssistant {
				responses[r.responseKey()] = true
			}
		}
	}
	for _, r := range s.records {
		switch {
		case used[r] || !r.isTalk():
		case r.Sidechain && !sidechains:
			dropped.Add(reasonSidechain, 1)
		case r.Type == typeAssistant && responses[r.responseKey()], r.answersOnly():
		default:
			dropped.Add(reasonAbandoned, 1)
		}
	}
}

// answersOnly tells whether a user record holds tool results and nothing else.
func (r *record) answersOnly() bool {
	if r.Type != typeUser || r.message == nil || len(r.message.blocks) == 0 {
		return false
	}
	for _, b := range r.message.blocks {
		if b.Type != blockToolResult {
			return false
		}
	}
	return true
}
