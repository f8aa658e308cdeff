package stats

import (
	"bytes"
	"errors"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/qlora/qlora/internal/dataset"
)

// Encoder makes the tokens of a record as training would; *dataset.Reader is
// one.
type Encoder interface {
	Encode(*dataset.Record) (*dataset.Sequence, error)
}

// CharsPerToken is the estimate that lengths rest on without a vocabulary:
// English prose has about 4, code about 3.
const CharsPerToken = 3.5

// Estimate is the number of tokens that chars characters are taken for.
func Estimate(chars int) int { return int(float64(chars)/CharsPerToken + 0.999) }

// role is a message's role and the characters in it.
type role struct {
	name  string
	chars int
}

// sample is what is measured of one line.
type sample struct {
	file string
	line int
	size int64 // bytes of the line
	err  error // why the line cannot be used

	kind             dataset.Kind
	chars            int
	tokens, trained  int
	open, lostCalls  int
	roles            []role
	tools            []string // of the calls, in order
	language, source string
	id               [16]byte
}

var (
	errTooLong = errors.New("line longer than 64 MiB")
	errUTF8    = errors.New("not valid UTF-8")
)

// measure reads one line, and tokenises it when there is an encoder.
func (s *sample) measure(line []byte, e Encoder) {
	line = bytes.TrimSpace(line)
	if !utf8.Valid(line) {
		s.err = errUTF8
		return
	}
	r, err := dataset.ReadRecord(line)
	if err != nil {
		s.err = err
		return
	}
	s.kind, s.id = r.Kind, r.Fingerprint()
	s.language = firstField(r, "lang", "language")
	s.source = sourceName(firstField(r, "source", "repo", "dataset"))
	trainedChars := s.countText(r)
	if e == nil {
		s.tokens, s.trained = Estimate(s.chars), Estimate(trainedChars)
		return
	}
	q, err := e.Encode(r)
	if err != nil {
		s.err = err
		return
	}
	s.tokens, s.trained = len(q.Tokens), q.Trained()
	s.open, s.lostCalls = q.OpenTurns, q.LostCalls
}

func firstField(r *dataset.Record, keys ...string) string {
	for _, key := range keys {
		if v := r.Field(key); v != "" {
			return v
		}
	}
	return ""
}

// sourceName is the folder of a source that is a log: each session has one of
// its own, and the folder is that of the project.
func sourceName(source string) string {
	if dir := path.Dir(source); strings.HasSuffix(source, ".jsonl") && dir != "." {
		return dir
	}
	return source
}

// countText counts the characters of a record, and by role; it returns those
// that would be trained on.
func (s *sample) countText(r *dataset.Record) (trained int) {
	messages := r.Messages()
	turns := r.TrainedTurns(dataset.LossAssistant)
	for i, m := range messages {
		n := utf8.RuneCountInString(m.Content)
		for _, c := range m.Calls {
			n += utf8.RuneCountInString(c.Name) + utf8.RuneCountInString(c.Arguments)
			s.tools = append(s.tools, c.Name)
		}
		s.chars += n
		s.roles = append(s.roles, role{m.Role, n})
		if slices.Contains(turns, i) {
			trained += n
		}
	}
	if messages == nil {
		return s.countPlain(r)
	}
	return trained
}

// countPlain does the same for records that are no chats.
func (s *sample) countPlain(r *dataset.Record) (trained int) {
	for _, f := range r.Context() {
		s.chars += utf8.RuneCountInString(f.Content)
	}
	for _, key := range plainFields[r.Kind].context {
		s.chars += utf8.RuneCountInString(r.Field(key))
	}
	trained = utf8.RuneCountInString(r.Field(plainFields[r.Kind].trained))
	s.chars += trained
	return trained
}

// plainFields are the text of records that are no chats.
var plainFields = map[dataset.Kind]struct {
	context []string
	trained string
}{
	dataset.KindFIM:        {[]string{"prefix", "suffix"}, "middle"},
	dataset.KindCompletion: {[]string{"prompt"}, "completion"},
	dataset.KindText:       {nil, "text"},
}
