package fim

import (
	"encoding/json"
	"strconv"

	"github.com/qlora/qlora/internal/dataset"
)

// Levels of a record.
const (
	LevelFile = "file"
	LevelRepo = "repo"
)

// Record is one fill-in-the-middle sample. Prefix, Middle and Suffix together
// are the bytes of the file from Start on, after secrets were masked.
type Record struct {
	Prefix   string                `json:"prefix"`
	Suffix   string                `json:"suffix"`
	Middle   string                `json:"middle"`
	Path     string                `json:"path"` // relative to the repository, slash-separated
	Lang     string                `json:"lang"` // linguist's name in lower case
	Repo     string                `json:"repo"`
	SpanKind string                `json:"span_kind"`
	Level    string                `json:"level"`             // LevelFile or LevelRepo
	Context  []dataset.ContextFile `json:"context,omitempty"` // to show before, the nearest last
	Start    int                   `json:"start"`             // offset of the window in the file, bytes
	SHA256   string                `json:"sha256"`            // of the whole file
	License  string                `json:"license,omitempty"` // SPDX expression
	Commit   string                `json:"commit,omitempty"`  // when read from one
	Masked   bool                  `json:"masked,omitempty"`  // secrets of the file were masked
}

// TextRecord is a piece of a file, from byte Start on; or, where SpanKind is
// set, a sample spelled with a family's tokens.
type TextRecord struct {
	Text     string `json:"text"`
	Path     string `json:"path"`
	Lang     string `json:"lang"`
	Repo     string `json:"repo"`
	SpanKind string `json:"span_kind,omitempty"`
	Level    string `json:"level,omitempty"`
	Start    int    `json:"start"`
	SHA256   string `json:"sha256"`
	License  string `json:"license,omitempty"`
	Commit   string `json:"commit,omitempty"`
	Masked   bool   `json:"masked,omitempty"`
}

// encoder writes the records of one file as JSON, as encoding/json would.
type encoder struct {
	*file
	text *escaped
	tail []byte // what all records end with
}

func newEncoder(f *file, text []byte) *encoder {
	e := &encoder{file: f, text: escape(text)}
	e.tail = appendString([]byte(`,"sha256":`), f.hash)
	if f.license != "" {
		e.tail = appendString(append(e.tail, `,"license":`...), f.license)
	}
	if f.repo.Commit != "" {
		e.tail = appendString(append(e.tail, `,"commit":`...), f.repo.Commit)
	}
	if len(f.masked) > 0 {
		e.tail = append(e.tail, `,"masked":true`...)
	}
	e.tail = append(e.tail, '}')
	return e
}

// names adds path, language and repository.
func (e *encoder) names(dst []byte) []byte {
	dst = appendString(append(dst, `,"path":`...), e.path)
	dst = appendString(append(dst, `,"lang":`...), e.lang)
	return appendString(append(dst, `,"repo":`...), e.repo.Repo)
}

// fim is the record of the window from:to around s.
func (e *encoder) fim(s span, from, to int, level string, files []dataset.ContextFile) json.RawMessage {
	dst := make([]byte, 0, (to-from)*9/8+512)
	dst = append(append(append(dst, `{"prefix":"`...), e.text.slice(from, s.start)...), '"')
	dst = append(append(append(dst, `,"suffix":"`...), e.text.slice(s.end, to)...), '"')
	dst = append(append(append(dst, `,"middle":"`...), e.text.slice(s.start, s.end)...), '"')
	dst = appendString(append(e.names(dst), `,"span_kind":`...), s.kind)
	dst = appendString(append(dst, `,"level":`...), level)
	for i, f := range files {
		if i == 0 {
			dst = append(dst, `,"context":[{"path":`...)
		} else {
			dst = append(dst, `,{"path":`...)
		}
		dst = appendString(dst, f.Path)
		dst = append(appendString(append(dst, `,"content":`...), f.Content), '}')
	}
	if len(files) > 0 {
		dst = append(dst, ']')
	}
	return e.finish(dst, from)
}

// piece is the text record of from:to.
func (e *encoder) piece(from, to int) json.RawMessage {
	dst := append([]byte(`{"text":"`), e.text.slice(from, to)...)
	return e.finish(e.names(append(dst, '"')), from)
}

// spelled is a sample in a family's tokens.
func (e *encoder) spelled(text string, s span, from int, level string) json.RawMessage {
	dst := appendString([]byte(`{"text":`), text)
	dst = appendString(append(e.names(dst), `,"span_kind":`...), s.kind)
	dst = appendString(append(dst, `,"level":`...), level)
	return e.finish(dst, from)
}

func (e *encoder) finish(dst []byte, start int) json.RawMessage {
	dst = strconv.AppendInt(append(dst, `,"start":`...), int64(start), 10)
	return append(dst, e.tail...)
}
