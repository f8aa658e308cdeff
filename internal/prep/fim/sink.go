package fim

import (
	"encoding/json"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/shard"
)

// sink takes the records of a run in order, no content twice.
type sink interface {
	write(key shard.Key, record json.RawMessage) error
	commit(left prep.Tally) (*shard.Result, error)
	abort()
}

// newSink writes a part with the keys that joining needs. A whole run writes
// at once what joining its parts would give: its records come in order and
// without copies as they are.
func newSink(o Options, identity string) (sink, error) {
	if !o.Shard.Part() {
		f, err := prep.Create(o.Out)
		return &wholeSink{file: f}, err
	}
	w, err := shard.NewWriter(o.Out, shard.Header{Command: "repo2fim", Rules: o.rules(), Spec: o.Shard, Options: identity})
	return partSink{w}, err
}

type partSink struct{ w *shard.Writer }

func (s partSink) write(key shard.Key, record json.RawMessage) error { return s.w.Write(key, record) }

func (s partSink) commit(left prep.Tally) (*shard.Result, error) {
	s.w.Drop(left)
	return s.w.Commit()
}

func (s partSink) abort() { s.w.Abort() }

type wholeSink struct {
	file    *prep.File
	records int64
}

func (s *wholeSink) write(_ shard.Key, record json.RawMessage) error {
	s.records++
	_, err := s.file.Write(append(record, '\n'))
	return err
}

func (s *wholeSink) commit(left prep.Tally) (*shard.Result, error) {
	r := &shard.Result{Records: s.records, Dropped: left, Bytes: s.file.Size(), SHA256: s.file.SHA256()}
	return r, s.file.Commit()
}

func (s *wholeSink) abort() { s.file.Abort() }
