package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// BadLine is a line of a metrics file that is no report.
type BadLine struct {
	Path string
	Line int // from 1
	Err  error
}

func (b BadLine) Error() string { return fmt.Sprintf("%s:%d: %v", b.Path, b.Line, b.Err) }

// Unwrap returns what is wrong with the line.
func (b BadLine) Unwrap() error { return b.Err }

// What can be wrong with a line before its fields are looked at.
var (
	ErrNotJSON   = errors.New("not JSON")
	ErrNotReport = errors.New("not a report: want an object with a step of 0 or more")
	ErrTorn      = errors.New("cut off: the run ended before the line did")
)

// tail reads the lines of a growing file.
type tail struct {
	path string
	r    *bufio.Reader
	part []byte // the beginning of a line whose end is not yet there
	line int
	bad  func(BadLine)
}

// drain hands every complete line to each, or to bad.
func (t *tail) drain(each func(Metrics) error) error {
	for {
		text, err := t.r.ReadBytes('\n')
		t.part = append(t.part, text...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", t.path, err)
		}
		t.line++
		line := bytes.TrimSpace(t.part)
		t.part = nil
		if len(line) == 0 {
			continue
		}
		m, err := parseLine(line)
		if err != nil {
			t.bad(BadLine{t.path, t.line, err})
			continue
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

// end says that nothing more will come: the beginning of a line stays one.
func (t *tail) end() {
	if len(bytes.TrimSpace(t.part)) > 0 {
		t.bad(BadLine{t.path, t.line + 1, ErrTorn})
	}
}

func parseLine(line []byte) (Metrics, error) {
	if !json.Valid(line) {
		return Metrics{}, ErrNotJSON
	}
	if line[0] != '{' {
		return Metrics{}, ErrNotReport
	}
	m := Metrics{Step: -1}
	var field *json.UnmarshalTypeError
	switch err := json.Unmarshal(line, &m); {
	case errors.As(err, &field):
		return m, fmt.Errorf("%s: unexpected %s", field.Field[strings.LastIndexByte(field.Field, '.')+1:], field.Value)
	case err != nil:
		return m, err
	case m.Step < 0:
		return m, ErrNotReport
	}
	return m, nil
}
