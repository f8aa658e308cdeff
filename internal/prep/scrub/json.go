package scrub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// errJSON says no more than that: a parser's message could quote the text.
var errJSON = errors.New("not valid JSON")

// CleanJSON cleans the strings of one JSON value, names of fields included,
// and adds to counts as Clean does. All other bytes stay as they are.
func (s *Scrubber) CleanJSON(value []byte, counts map[string]int) ([]byte, error) {
	if !json.Valid(value) {
		return nil, errJSON
	}
	var out bytes.Buffer
	for from := 0; from < len(value); {
		open := bytes.IndexByte(value[from:], '"')
		if open < 0 {
			out.Write(value[from:])
			break
		}
		open += from
		end := stringEnd(value, open)
		out.Write(value[from:open])
		if err := s.cleanLiteral(&out, value[open:end], counts); err != nil {
			return nil, err
		}
		from = end
	}
	return out.Bytes(), nil
}

// stringEnd is the offset after the string that opens at value[open].
func stringEnd(value []byte, open int) int {
	i := open + 1
	for value[i] != '"' {
		if value[i] == '\\' {
			i++
		}
		i++
	}
	return i + 1
}

// cleanLiteral writes a string as it was, or its clean form.
func (s *Scrubber) cleanLiteral(out *bytes.Buffer, literal []byte, counts map[string]int) error {
	var text string
	if err := json.Unmarshal(literal, &text); err != nil {
		return errJSON
	}
	clean := s.Clean(text, counts)
	if clean == text {
		out.Write(literal)
		return nil
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(clean); err != nil {
		return fmt.Errorf("encode a cleaned string: %w", err)
	}
	out.Truncate(out.Len() - 1) // the encoder ends with a line end
	return nil
}
