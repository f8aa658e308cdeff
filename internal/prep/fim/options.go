package fim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep/fim/syntax"
	"github.com/qlora/qlora/internal/prep/shard"
)

// Output formats.
const (
	FormatFIM  = "fim"
	FormatText = "text"
)

// What becomes of secrets.
const (
	RedactMask = "mask" // replaced where they are
	RedactDrop = "drop" // the file is left out
	RedactOff  = "off"
)

// Cleaner masks secrets in a text and counts them by rule. It is safe for
// concurrent use, and the same text always becomes the same.
type Cleaner interface {
	Clean(text string, counts map[string]int) string
}

// Counter counts the tokens of a text. It is safe for concurrent use.
type Counter interface {
	Count(text string) (int, error)
}

// Options say what to convert and how.
type Options struct {
	Repos     []string `json:"-"` // folders, or bare repositories
	Rev       string   // read this commit of each instead of the files in the folder
	Out       string   `json:"-"` // file to write
	Format    string   // FormatFIM or FormatText
	Family    string   // with FormatText: spell the records with this family's tokens
	Languages []string // wanted languages; none means all that people write
	Licences  []string // SPDX identifiers that are allowed; none means any or none
	MaxChars  int      // bytes of context, prefix, middle and suffix together
	MaxTokens int      // the same in tokens; 0 means MaxChars decides
	MaxMiddle int      // bytes of a middle
	PerFile   int      // records of one file at most
	MaxFile   int64    // bytes of a file at most
	Shares    Shares
	Levels    Levels
	Redact    string // RedactMask, RedactDrop or RedactOff
	Seed      uint64
	Workers   int        `json:"-"`
	Shard     shard.Spec `json:"-"`
	Strict    bool       `json:"-"` // a file that cannot be read ends the run

	Cleaner     Cleaner           `json:"-"` // needed unless Redact is off
	CleanerID   string            // names what Cleaner finds and writes; part of a run's identity
	RedactRules string            `json:"-"` // names the rules of this build's cleaners
	Counter     Counter           `json:"-"` // without one, tokens are estimated from bytes
	Model       string            // names what Counter counts by; part of a run's identity
	Total       func(int64)       `json:"-"` // told the bytes to come; may be nil
	Progress    func(bytes int64) `json:"-"` // told the bytes that are done; may be nil
}

// bytesPerToken is the estimate without a vocabulary: code has three to four
// bytes a token in the vocabularies of code models.
const bytesPerToken = 3

// DefaultOptions are what the command starts from. A window of 6000 bytes of
// code is about 2000 tokens.
func DefaultOptions() Options {
	return Options{
		Format: FormatFIM, MaxChars: 6000, MaxMiddle: 1200, PerFile: 8, MaxFile: 256 << 10,
		Shares: Shares{Syntax: 0.5, Line: 0.25, Char: 0.15, Edge: 0.1}, Levels: Levels{File: 0.7, Repo: 0.3},
		Redact: RedactOff, Seed: 42, Workers: 1,
	}
}

// Check refuses settings that cannot work.
func (o Options) Check() error {
	switch {
	case len(o.Repos) == 0:
		return errors.New("no repository given")
	case o.Format != FormatFIM && o.Format != FormatText:
		return fmt.Errorf("format %q: choose %s or %s", o.Format, FormatFIM, FormatText)
	case o.Family != "" && o.Format != FormatText:
		return fmt.Errorf("records of format %s leave the tokens to the trainer: a family goes with %s", o.Format, FormatText)
	case o.Family != "" && !slices.Contains(dataset.FIMFamilies(), o.Family):
		return fmt.Errorf("family %q: choose one of %v", o.Family, dataset.FIMFamilies())
	case o.MaxTokens != 0 && o.MaxTokens < 32:
		return fmt.Errorf("records of %d tokens are too small: at least 32", o.MaxTokens)
	case o.MaxChars < 64:
		return fmt.Errorf("a window of %d characters is too small: at least 64", o.MaxChars)
	case o.MaxMiddle < 1 || o.MaxTokens == 0 && o.MaxMiddle > o.MaxChars/2:
		return fmt.Errorf("middles of up to %d characters do not fit windows of %d: at most half", o.MaxMiddle, o.MaxChars)
	case o.PerFile < 1:
		return fmt.Errorf("%d records a file: at least 1", o.PerFile)
	case o.Workers < 1:
		return fmt.Errorf("%d workers: at least 1", o.Workers)
	case o.MaxFile < minFile:
		return fmt.Errorf("files of up to %d bytes: at least %d", o.MaxFile, minFile)
	}
	return o.checkRest()
}

func (o Options) checkRest() error {
	switch {
	case !slices.Contains([]string{RedactMask, RedactDrop, RedactOff}, o.Redact):
		return fmt.Errorf("redact %q: choose %s, %s or %s", o.Redact, RedactMask, RedactDrop, RedactOff)
	case o.Redact != RedactOff && o.Cleaner == nil:
		return errors.New("redaction needs a cleaner")
	}
	for _, lang := range o.Languages {
		if _, ok := knownLanguage(lang); !ok {
			return fmt.Errorf("unknown language %q", lang)
		}
	}
	if err := checkLicenses(o.Licences); err != nil {
		return err
	}
	if err := o.Levels.check(); err != nil {
		return err
	}
	return o.Shares.check()
}

// rulesVersion counts the changes to what is made of equal repositories with
// equal options; TestRulesVersion tells when it must rise.
const rulesVersion = 1

// rules names what this build makes of repositories, so that only parts of
// builds that agree are joined. Without C there are fewer grammars.
func (o Options) rules() string {
	return fmt.Sprintf("repo2fim %d, grammars %t, %s", rulesVersion, syntax.Known("python"), o.RedactRules)
}

// identity hashes what shapes the output, so that only parts of one run are
// joined: the options that JSON shows, and what each repository held.
func (o Options) identity(repos []*Listing) (string, error) {
	type source struct{ Repo, Commit, Files string }
	var sources []source
	for _, l := range repos {
		sources = append(sources, source{l.Repo, l.Commit, l.fingerprint()})
	}
	return shard.OptionsHash(struct {
		Options
		Sources []source
	}{o, sources})
}
