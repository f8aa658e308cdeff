package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/prep/fim"
	"github.com/qlora/qlora/internal/prep/shard"
	"github.com/qlora/qlora/internal/ui"
)

type repo2fimOptions struct {
	fim.Options
	redaction
	spans, levels, shard, model string
}

func (o *repo2fimOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&o.Repos, "repo", nil, "repository to read, a folder or a bare repository; may be given several times")
	flags.StringVar(&o.Rev, "rev", "", "read this commit, tag or branch instead of the files in the folder")
	flags.StringVarP(&o.Out, "out", "o", "", "file to write")
	enumVar(flags, &o.Format, "format", o.Format, []string{fim.FormatFIM, fim.FormatText}, "kind of record")
	flags.StringVar(&o.Family, "family", "", "with --format text, spell samples with this family's tokens: "+strings.Join(dataset.FIMFamilies(), ", "))
	flags.StringSliceVar(&o.Languages, "lang", nil, "languages to keep, such as go,python (default all that people write)")
	flags.StringSliceVar(&o.Licences, "license", nil, "keep files under these SPDX licenses only, such as MIT,Apache-2.0 (default any)")
	flags.StringVar(&o.spans, "spans", o.Shares.String(), "how often each way of choosing the middle is tried first")
	flags.StringVar(&o.levels, "level", o.Levels.String(), "how often a record shows its file alone, or other files with it")
	flags.IntVar(&o.MaxChars, "max-chars", o.MaxChars, "bytes of a record's text; about a third as many tokens")
	flags.IntVarP(&o.MaxTokens, "ctx-size", "c", 0, "tokens of a record, in place of --max-chars")
	flags.StringVarP(&o.model, "model", "m", "", "GGUF file whose vocabulary counts the tokens of -c")
	flags.IntVar(&o.MaxMiddle, "max-middle", o.MaxMiddle, "bytes of a middle; at most half of --max-chars")
	flags.IntVar(&o.PerFile, "per-file", o.PerFile, "records of one file at most")
	flags.Int64Var(&o.MaxFile, "max-file", o.MaxFile, "bytes of a file at most; longer ones are left out")
	enumVar(flags, &o.Redact, "redact", redactMask, redactModes, "secrets and personal data: mask them, drop files that hold any, or leave them")
	o.redaction.addFlags(flags)
	flags.Uint64Var(&o.Seed, "seed", o.Seed, "seed of all random choices")
	flags.IntVar(&o.Workers, "workers", runtime.GOMAXPROCS(0), "files looked at together")
	flags.StringVar(&o.shard, "shard", "", "handle part i of n of the files, as i/n; \"qlora prep merge\" joins the parts")
	flags.BoolVar(&o.Strict, "strict", false, "end at the first file that cannot be read, instead of counting it")
}

// parse checks the flags and settles what they leave open.
func (o *repo2fimOptions) parse(flags *pflag.FlagSet) error {
	var err error
	if o.Shares, err = fim.ParseShares(o.spans); err != nil {
		return err
	}
	if o.Levels, err = fim.ParseLevels(o.levels); err != nil {
		return err
	}
	if o.Shard, err = shard.Parse(o.shard); err != nil {
		return err
	}
	switch {
	case o.MaxTokens != 0 && flags.Changed("max-chars"):
		return errors.New("-c and --max-chars both bound a record: give one of them")
	case o.model != "" && o.MaxTokens == 0:
		return errors.New("-m counts the tokens of -c, which is missing")
	case flags.Changed("license") && len(o.Licences) == 0:
		return errors.New("--license names no license: leave it out to take files under any")
	}
	if !flags.Changed("max-middle") {
		o.MaxMiddle = min(o.MaxMiddle, o.MaxChars/2)
	}
	if err := o.redaction.check(o.Redact); err != nil {
		return err
	}
	return licenseHints(o.Check())
}

// licenseHints says what may be meant by a license that is not known.
func licenseHints(err error) error {
	var unknown *fim.UnknownLicenseError
	if !errors.As(err, &unknown) {
		return err
	}
	hints := []string{"all of https://spdx.org/licenses is known, and LicenseRef-NAME for what tags name; several are separated by commas"}
	if len(unknown.Near) > 0 {
		hints = append([]string{"did you mean " + strings.Join(unknown.Near, " or ") + "?"}, hints...)
	}
	return ui.Fail(ui.ExitUsage, err, hints...)
}

// countTokens loads the vocabulary that counts tokens, if one was named, and
// warns of one that cannot train on the records. The function it returns frees it.
func (o *repo2fimOptions) countTokens(s *ui.Streams) (done func(), err error) {
	if o.model == "" {
		return func() {}, nil
	}
	model, err := llama.Load(o.model, llama.LoadOptions{VocabOnly: true})
	if err != nil {
		return nil, ui.Fail(ui.ExitInvalid, fmt.Errorf("read the vocabulary: %w", err), "-m wants a GGUF file; qlora inspect shows what is in one")
	}
	o.Counter, o.Model = vocabCounter{model.Vocab()}, filepath.Base(o.model)
	if _, err := dataset.FindFIM(model.Vocab()); err != nil && o.Format != fim.FormatText {
		s.Warnf("%s has no fill-in-the-middle tokens, so it cannot be trained on these records; --format text makes records for it", o.Model)
	}
	return func() { _ = model.Close() }, nil // nothing to do about it, and nothing lost
}

// vocabCounter counts tokens by a model's vocabulary.
type vocabCounter struct{ v *llama.Vocab }

func (c vocabCounter) Count(text string) (int, error) {
	tokens, err := c.v.Encode(text, false)
	return len(tokens), err
}
