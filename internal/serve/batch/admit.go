package batch

// slot is the place of a sequence in the cache.
type slot struct {
	seq     *sequence // nil: free
	adapter int       // that tokens were computed with
	tokens  []int32   // in the cache
	freed   int       // decodes that there had been when it became free
}

// minShared is the length from which a common beginning is worth going to
// another slot for: below, neighbours are, since libllama computes runs of
// adjacent slots together.
const minShared = 16

// admit gives free slots to the sequences that have waited longest, and ends
// those that cannot be met.
func (s *Scheduler) admit() {
	kept := s.waiting[:0]
	for _, q := range s.waiting {
		s.mu.Lock()
		prepared, failed := q.prepared, q.failed
		s.mu.Unlock()
		switch {
		case !prepared:
			kept = append(kept, q)
		case failed != nil:
			s.fail(q, failed)
		default:
			if !s.seat(q) {
				kept = append(kept, q)
			}
		}
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
}

// seat puts q into the best free slot and forgets of it what q does not share.
func (s *Scheduler) seat(q *sequence) bool {
	if s.seated() == s.options.Slots {
		return false
	}
	best, bestScore := 0, -1
	for i := range s.slots {
		if s.slots[i].seq != nil {
			continue
		}
		if score := s.score(q, i); score > bestScore {
			best, bestScore = i, score
		}
	}
	slot := &s.slots[best]
	shared := s.shared(q, best)
	if !s.ctx.Forget(int32(best), int32(shared)) {
		shared = 0 // a recurrent state cannot be cut: begin anew
		s.ctx.Forget(int32(best), 0)
	}
	slot.seq, slot.adapter, slot.tokens = q, q.adapter, slot.tokens[:shared]
	q.slot, q.cached, q.done, q.out = best, shared, shared, -1
	return true
}

// score prefers the slot whose cache shares most with q, then one beside a
// sequence of the same adapter, then one whose cache nobody may want, and last
// the first.
func (s *Scheduler) score(q *sequence, i int) int {
	score := 0
	if shared := s.shared(q, i); shared >= minShared {
		score += 8 * shared
	}
	for _, n := range []int{i - 1, i + 1} {
		if n >= 0 && n < len(s.slots) && s.slots[n].seq != nil && s.slots[n].adapter == q.adapter {
			score += 4
		}
	}
	if len(s.slots[i].tokens) == 0 {
		score++
	}
	return score
}

// shared is how many tokens of q's prompt the cache of slot i holds. The last
// one is computed in any case, for its logits.
func (s *Scheduler) shared(q *sequence, i int) int {
	slot := &s.slots[i]
	if slot.adapter != q.adapter {
		return 0
	}
	most := min(len(slot.tokens), len(q.prompt)-1)
	for n := range most {
		if slot.tokens[n] != q.prompt[n] {
			return n
		}
	}
	return most
}
