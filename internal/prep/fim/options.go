package fim

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// Output formats.
const (
	FormatFIM  = "fim"
	FormatText = "text"
)

// Options say what to convert and how.
type Options struct {
	Repos     []string // folders
	Out       string   // file to write
	Format    string   // FormatFIM or FormatText
	Languages []string // wanted languages; none means every known one
	MaxChars  int      // bytes of prefix, middle and suffix together
	MaxMiddle int      // bytes of a middle
	PerFile   int      // records of one file at most
	MaxFile   int64    // bytes of a file at most
	Shares    Shares
	Seed      uint64
	Workers   int
	Total     func(int64)       // told the bytes to come; may be nil
	Progress  func(bytes int64) // told the bytes that are done; may be nil
}

// DefaultOptions are what the command starts from. A window of 6000 bytes of
// code is about 2000 tokens.
func DefaultOptions() Options {
	return Options{
		Format: FormatFIM, MaxChars: 6000, MaxMiddle: 1200, PerFile: 8, MaxFile: 256 << 10,
		Shares: Shares{Syntax: 0.5, Line: 0.3, Char: 0.2}, Seed: 42, Workers: 1,
	}
}

// Check refuses settings that cannot work.
func (o Options) Check() error {
	switch {
	case len(o.Repos) == 0:
		return errors.New("no repository given")
	case o.Format != FormatFIM && o.Format != FormatText:
		return fmt.Errorf("format %q: choose %s or %s", o.Format, FormatFIM, FormatText)
	case o.MaxChars < 64:
		return fmt.Errorf("a window of %d characters is too small: at least 64", o.MaxChars)
	case o.MaxMiddle < 1 || o.MaxMiddle > o.MaxChars/2:
		return fmt.Errorf("middles of up to %d characters do not fit windows of %d: at most half", o.MaxMiddle, o.MaxChars)
	case o.PerFile < 1:
		return fmt.Errorf("%d records a file: at least 1", o.PerFile)
	case o.Workers < 1:
		return fmt.Errorf("%d workers: at least 1", o.Workers)
	case o.MaxFile < minFile:
		return fmt.Errorf("files of up to %d bytes: at least %d", o.MaxFile, minFile)
	}
	for _, lang := range o.Languages {
		if !Known(lang) {
			return fmt.Errorf("unknown language %q", lang)
		}
	}
	return o.Shares.check()
}

// Shares say how often each way of choosing a span is tried first. They need
// not add up to one. Only Go has spans by syntax; elsewhere lines take that
// share.
type Shares struct {
	Syntax float64 `json:"syntax"`
	Line   float64 `json:"line"`
	Char   float64 `json:"char"`
}

func (s Shares) sum() float64 { return s.Syntax + s.Line + s.Char }

func (s Shares) check() error {
	for _, v := range []float64{s.Syntax, s.Line, s.Char} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return fmt.Errorf("shares %s: every share must be 0 or more", s)
		}
	}
	if s.sum() == 0 {
		return errors.New("the shares of the span kinds are all 0")
	}
	return nil
}

// String is the form that ParseShares reads.
func (s Shares) String() string {
	return fmt.Sprintf("syntax=%g,line=%g,char=%g", s.Syntax, s.Line, s.Char)
}

// ParseShares reads "syntax=0.5,line=0.3,char=0.2"; what is not named is 0.
func ParseShares(text string) (Shares, error) {
	var s Shares
	fields := map[string]*float64{"syntax": &s.Syntax, "line": &s.Line, "char": &s.Char}
	for _, part := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		field := fields[name]
		if !ok || field == nil {
			return s, fmt.Errorf("span share %q: write syntax=0.5,line=0.3,char=0.2", part)
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return s, fmt.Errorf("span share %q: %q is no number", part, value)
		}
		*field = v
	}
	return s, s.check()
}

// Report says what was read, written and left out.
type Report struct {
	Repos     []*Listing     `json:"repos"`
	Files     int            `json:"files"` // listed
	Used      int            `json:"files_used"`
	Bytes     int64          `json:"bytes_used"`
	Records   int            `json:"records"`
	Middle    int64          `json:"middle_bytes"`
	Kinds     prep.Tally     `json:"span_kinds"`
	Languages prep.Tally     `json:"languages"` // records
	Left      prep.Tally     `json:"left_out"`  // files, by reason
	Unparsed  int            `json:"go_files_unparsed"`
	Skipped   int            `json:"skipped_files"` // that could not be read
	Problems  []prep.Problem `json:"problems"`
	Format    string         `json:"format"`
	Seed      uint64         `json:"seed"`
	Out       string         `json:"out"`
	OutBytes  int64          `json:"out_bytes"`
	SHA256    string         `json:"sha256"`
}

// ErrNothing is wrapped by the error of Convert when no file was usable.
var ErrNothing = errors.New("no usable source file found")
