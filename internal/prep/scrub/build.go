package scrub

import "slices"

// add registers a rule and the triggers that lead to it. Rules are shared by
// all Scrubbers, so each gets a copy with its own index.
func (s *Scrubber) add(shared *rule) {
	r := *shared
	r.index = len(s.rules)
	s.rules = append(s.rules, &r)
	switch {
	case len(r.shape.anchors) > 0 && r.filterKind() == filterNone:
		for i := range r.shape.anchors {
			a := &r.shape.anchors[i]
			s.triggers = append(s.triggers, trigger{literal: a.literal, anchor: a, word: r.shape.word, rules: []*rule{&r}})
		}
	case len(r.keywords) == 0:
		s.everywhere = append(s.everywhere, &r)
	default:
		for _, keyword := range r.keywords {
			s.addKeyword(keyword, &r)
		}
	}
}

// addKeyword makes keyword lead to r, together with the other rules that it
// leads to under the same condition.
func (s *Scrubber) addKeyword(keyword string, r *rule) {
	for i := range s.triggers {
		t := &s.triggers[i]
		same := t.literal == keyword && t.anchor == nil && t.detect == nil && len(t.rules) > 0
		if same && t.rules[0].filterKind() == r.filterKind() && !slices.Contains(t.rules, r) {
			t.rules = append(t.rules, r)
			return
		}
	}
	t := trigger{literal: keyword, rules: []*rule{r}}
	switch r.filterKind() {
	case filterGeneric:
		t.filter = genericValue
	case filterAssignment:
		t.filter = assignment
	case filterOperator:
		t.filter = operatorValue
	case filterHex:
		t.filter = hexValue
	case filterNone:
	}
	s.triggers = append(s.triggers, t)
}

// filterKind is the cheap look that a rule's keywords get.
type filterKind int

const (
	filterNone filterKind = iota
	filterAssignment
	filterGeneric
	filterHex
	filterOperator
)

func (r *rule) filterKind() filterKind {
	switch {
	case r.id == genericID:
		return filterGeneric
	case r.id == hexID:
		return filterHex
	case slices.Contains(assignedOwn, r.id):
		return filterOperator
	case r.shape.assigns:
		return filterAssignment
	default:
		return filterNone
	}
}

// build makes the machine once all triggers are there.
func (s *Scrubber) build() {
	literals := make([]string, len(s.triggers))
	for i, t := range s.triggers {
		literals[i] = t.literal
	}
	s.machine = newAutomaton(literals)
	count := len(s.rules)
	s.scans.New = func() any { return &scan{lastEnd: make([]int, count)} }
}

// addDetectors registers what is found without an expression.
func (s *Scrubber) addDetectors(o Options) {
	bind := func(shared *rule, literal string, find func(sc *scan, r *rule, text string, start, end int)) {
		r := s.detectorRule(shared)
		s.triggers = append(s.triggers, trigger{literal: literal, detect: func(sc *scan, text string, start, end int) {
			find(sc, r, text, start, end)
		}})
	}
	bind(mailRule, "@", detectMail)
	bind(urlRule, "://", detectURL)
	bind(tokenRule, "_", detectToken)
	bind(tokenRule, "-", detectToken)
	bind(pemRule, "-----begin", detectPEMStart)
	bind(pemRule, "-----end", detectPEMEnd)
	for _, place := range homePlaces {
		bind(homeRule, place.literal, func(sc *scan, r *rule, text string, start, end int) {
			detectHome(sc, r, place.exact, text, start, end)
		})
	}
	if o.IPs {
		bind(ipRule, ".", detectIP)
	}
}

// detectorRule returns this Scrubber's copy of a rule without an expression.
func (s *Scrubber) detectorRule(shared *rule) *rule {
	for _, r := range s.rules {
		if r.id == shared.id {
			return r
		}
	}
	r := *shared
	r.index = len(s.rules)
	s.rules = append(s.rules, &r)
	return &r
}
