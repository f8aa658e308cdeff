package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Event writes one JSON line to standard output: an object whose first field
// is "message_type" and whose others are the fields of v, which must encode as
// an object or be nil. Without JSON it does nothing.
func (s *Streams) Event(messageType string, v any) error {
	if !s.JSON {
		return nil
	}
	line, err := eventLine(messageType, v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.Out.Write(line); err != nil && !s.hungUp.Load() {
		return fmt.Errorf("write %s event: %w", messageType, err)
	}
	return nil
}

func eventLine(messageType string, v any) ([]byte, error) {
	body, err := encode(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s event: %w", messageType, err)
	}
	if bytes.Equal(body, []byte("null")) {
		body = []byte("{}")
	}
	if body[0] != '{' {
		return nil, fmt.Errorf("encode %s event: %T is not a JSON object", messageType, v)
	}
	kind, err := encode(messageType)
	if err != nil {
		return nil, fmt.Errorf("encode event type %q: %w", messageType, err)
	}
	line := append([]byte(`{"message_type":`), kind...)
	if fields := body[1 : len(body)-1]; len(fields) > 0 {
		line = append(append(line, ','), fields...)
	}
	return append(line, '}', '\n'), nil
}

// encode is json.Marshal without the escaping of <, > and &, which templates
// and code completions are full of.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(buf.Bytes()), nil
}
