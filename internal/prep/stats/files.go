package stats

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// LineError is a line that cannot be used, where one is too many.
type LineError struct {
	prep.Problem
	Err error
}

func (e *LineError) Error() string { return e.Problem.String() }

// Unwrap returns the reason.
func (e *LineError) Unwrap() error { return e.Err }

// CheckReport refuses the name of a report whose ending says no format; empty
// is no report.
func CheckReport(path string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".html", ".htm", ".svg":
		return nil
	}
	if path == "" {
		return nil
	}
	return fmt.Errorf("report %q: the name must end in .html or .svg", path)
}

// WriteFile writes the report as a page or, when path ends in .svg, the
// histogram alone. The file appears whole or not at all.
func (r *Report) WriteFile(path string) (err error) {
	write := r.WriteHTML
	if strings.EqualFold(filepath.Ext(path), ".svg") {
		write = r.WriteSVG
	}
	f, err := prep.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Abort()) }()
	if err := write(io.Writer(f)); err != nil {
		return fmt.Errorf("write report %s: %w", path, err)
	}
	return f.Commit()
}
