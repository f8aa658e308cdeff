package stats

import (
	"cmp"
	"slices"
)

// groupBuilder gathers the samples of a file, or of all.
type groupBuilder struct {
	group                           Group
	lengths                         Lengths
	kinds, languages, tools, source counter
	roleMessages, roleChars         counter
}

func (g *groupBuilder) add(s *sample) {
	g.group.Samples++
	g.group.Characters += int64(s.chars)
	g.group.Tokens += int64(s.tokens)
	g.group.Trained += int64(s.trained)
	g.group.OpenTurns += int64(s.open)
	g.group.LostCalls += int64(s.lostCalls)
	if s.trained == 0 {
		g.group.Untrained++
	}
	g.lengths.Add(s.tokens)
	g.kinds.add(string(s.kind), 1)
	g.languages.add(s.language, 1)
	g.source.add(s.source, 1)
	for _, name := range s.tools {
		g.tools.add(name, 1)
	}
	for _, r := range s.roles {
		g.roleMessages.add(r.name, 1)
		g.roleChars.add(r.name, int64(r.chars))
	}
}

func (g *groupBuilder) finish() Group {
	out := g.group
	out.Context = out.Tokens - out.Trained
	out.Kinds, out.Languages = g.kinds.counts(), g.languages.counts()
	out.Tools, out.Sources = g.tools.counts(), g.source.counts()
	out.Roles = g.roles()
	out.Lengths = &g.lengths
	if g.lengths.count > 0 {
		out.Length, out.Fits = summary(&g.lengths), fits(&g.lengths)
		out.Histogram = g.lengths.Bins(histogramBins)
	}
	return out
}

// roles lists the roles, the one with the most messages first.
func (g *groupBuilder) roles() []RoleSize {
	out := make([]RoleSize, 0, len(g.roleMessages.byName))
	for name, n := range g.roleMessages.byName {
		out = append(out, RoleSize{Role: name, Messages: n, Characters: g.roleChars.byName[name]})
	}
	slices.SortFunc(out, func(a, b RoleSize) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Role, b.Role))
	})
	return out[:min(len(out), listedNames)]
}
