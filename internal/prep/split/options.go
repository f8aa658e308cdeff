package split

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/qlora/qlora/internal/prep/shard"
)

// What keeps code records together.
const (
	GroupAuto = "auto" // by repository when there are several, else by file
	GroupRepo = "repo"
	GroupFile = "file"
)

// Groupings are the values of Options.GroupBy.
var Groupings = []string{GroupAuto, GroupRepo, GroupFile}

// Options say what to divide and how.
type Options struct {
	Inputs     []string // files or patterns
	Name       string   // label of the manifest
	OutDir     string
	EvalFrac   float64 // share of the records to evaluate on, above 0 and below 1
	Seed       uint64
	Near       float64  // Jaccard similarity from which records are near duplicates; 0: not looked for
	GroupBy    string   // one of Groupings
	MaxSamples int      // records to keep in all; 0: all
	MinChars   int      // characters of a record's text at least
	MaxChars   int      // and at most; 0: any
	MinTokens  int      // tokens of a record's text at least; needs Tokens
	MaxTokens  int      // and at most; 0: any
	Avoid      []string // files of texts that records must not overlap with
	Strict     bool     // a line that cannot be used is an error
	Force      bool     // replace outputs that this command did not write

	Shard shard.Spec // read and describe this part of the inputs only
	Parts string     // folder of the descriptions that Shard runs write and a later run reads

	Workers      int                            // goroutines
	SignatureRAM int64                          // bytes of signatures kept in memory; the rest goes to disk
	Tokens       func(text string) (int, error) // counts tokens; safe for concurrent use
	TokensID     string                         // names the vocabulary of Tokens
	Total        func(int64)                    // told the bytes to come; may be nil
	Progress     func(bytes int64)              // told the bytes that were read; may be nil, called by one goroutine
	Phase        func(what string)              // told what begins; may be nil

	block int64 // blockBytes unless a test sets it
}

// DefaultOptions are the settings where nothing else is asked for.
func DefaultOptions() Options {
	return Options{
		Name: "data", OutDir: "data", EvalFrac: 0.1, Seed: 42, Near: 0.7, GroupBy: GroupAuto,
		Workers: 1, SignatureRAM: 512 << 20,
	}
}

// Check refuses settings that cannot work.
func (o Options) Check() error {
	switch {
	case len(o.Inputs) == 0:
		return errors.New("no data file given")
	case !nameForm.MatchString(o.Name):
		return fmt.Errorf("name %q: use letters, digits, dots, dashes and underscores", o.Name)
	case o.OutDir == "":
		return errors.New("no output folder given")
	case math.IsNaN(o.EvalFrac) || o.EvalFrac <= 0 || o.EvalFrac >= 1:
		return fmt.Errorf("evaluation share %g: must be above 0 and below 1", o.EvalFrac)
	case o.Near != 0 && !(o.Near >= minNear && o.Near <= 1):
		return fmt.Errorf("near %g: must be from %g to 1, or 0 for no near duplicates", o.Near, minNear)
	case o.GroupBy != "" && !slices.Contains(Groupings, o.GroupBy):
		return fmt.Errorf("grouping %q: want one of %v", o.GroupBy, Groupings)
	case o.MaxSamples < 0 || o.MinChars < 0 || o.MaxChars < 0 || o.MinTokens < 0 || o.MaxTokens < 0:
		return errors.New("limits must not be negative")
	case o.MaxChars > 0 && o.MaxChars < o.MinChars || o.MaxTokens > 0 && o.MaxTokens < o.MinTokens:
		return errors.New("the longest allowed record is shorter than the shortest")
	case (o.MinTokens > 0 || o.MaxTokens > 0) && o.Tokens == nil:
		return errors.New("limits in tokens need a model's vocabulary")
	case o.Shard.Part() && o.Parts == "":
		return errors.New("a shard needs the folder of parts to write to")
	}
	return nil
}

// filled puts defaults in the place of what is not set. Near stays as it is.
func (o Options) filled() Options {
	d := DefaultOptions()
	if o.GroupBy == "" {
		o.GroupBy = d.GroupBy
	}
	if o.SignatureRAM == 0 {
		o.SignatureRAM = d.SignatureRAM
	}
	o.Workers = max(o.Workers, 1)
	return o
}

// featureOptions are the settings that shape the description of a record.
type featureOptions struct {
	Version            int
	MinChars, MaxChars int
	MinTokens          int
	MaxTokens          int
	TokensID           string
	Near               bool
	Avoid              []string // hashes of what is avoided
	Block              int64
}

// fingerprint names the settings that parts must share.
func (o Options) fingerprint(avoid []string) (string, error) {
	return shard.OptionsHash(featureOptions{
		Version: partVersion, MinChars: o.MinChars, MaxChars: o.MaxChars, MinTokens: o.MinTokens,
		MaxTokens: o.MaxTokens, TokensID: o.TokensID, Near: o.Near > 0, Avoid: avoid, Block: o.blockSize(),
	})
}

func (o Options) blockSize() int64 {
	if o.block > 0 {
		return o.block
	}
	return blockBytes
}

// spillDir is where temporary files go.
func (o Options) spillDir() string {
	if o.Shard.Part() {
		return o.Parts
	}
	return o.OutDir
}

func (o Options) phase(what string) {
	if o.Phase != nil {
		o.Phase(what)
	}
}

func (o Options) progress(n int64) {
	if o.Progress != nil {
		o.Progress(n)
	}
}

// Errors of Split that concern the data as a whole.
var (
	ErrNothing  = errors.New("no usable record in the input")
	ErrOneGroup = errors.New("all records belong together, so they cannot be divided")
	ErrChanged  = errors.New("changed while it was read")
	ErrStrict   = errors.New("a line of the input cannot be used")
	ErrParts    = errors.New("the parts cannot be put together")
)
