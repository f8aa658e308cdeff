package batch

// Moves is how often a sequence changed its slot; read it while nothing is computed.
func (s *Scheduler) Moves() int { return s.moves }
