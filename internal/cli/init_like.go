package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/embedded"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/newmodel"
	"github.com/qlora/qlora/internal/ui"
)

// likeOptions are the flags of init --like.
type likeOptions struct {
	preset    string
	kind      string
	pure      bool
	vocabFrom string
}

// likeSummary is the closing line of --json with --like.
type likeSummary struct {
	Model      string         `json:"model"`
	Like       string         `json:"like"`
	Type       string         `json:"type"`
	Parameters int64          `json:"parameters"`
	VocabSize  int            `json:"vocab_size"`
	Bytes      int64          `json:"bytes"`   // of tensor data
	Tensors    map[string]int `json:"tensors"` // how many of each type
	Fallbacks  []string       `json:"fallbacks,omitempty"`
}

func (o *likeOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.preset, "like", "", "published model whose shape to take: "+strings.Join(newmodel.PresetNames(), ", "))
	enumVar(flags, &o.kind, "type", "q4_k_m", newmodel.StorageNames(), "type of the matrices, with --like")
	flags.BoolVar(&o.pure, "pure", false, "with --like: give every matrix the mixture's main type")
	flags.StringVar(&o.vocabFrom, "vocab-from", "", "with --like: GGUF file to take the vocabulary from (default: the embedded model's)")
}

// check refuses flags of one way to make a model with the other.
func (o *likeOptions) check(cmd *cobra.Command) error {
	foreign, with := []string{"type", "pure", "vocab-from"}, "only goes with --like"
	if o.preset != "" {
		foreign = []string{"vocab-from-text", "vocab-size", "shape", "init-attention-std", "init-embd-std", "name", "license"}
		with = "does not go with --like"
	}
	for _, name := range foreign {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s %s", name, with)
		}
	}
	return nil
}

// runLike writes a model of a published shape.
func (o *initOptions) runLike(ctx context.Context, cmd *cobra.Command, s *ui.Streams) (err error) {
	c := newmodel.Synthetic{Seed: o.init.Seed, Std: newmodel.DefaultStd}
	if cmd.Flags().Changed("init-std") {
		c.Std = o.init.Std
	}
	if c.Preset, err = newmodel.FindPreset(o.like.preset); err != nil {
		return ui.Fail(ui.ExitUsage, err, "name one of them with --like, or make a model of your own with --vocab-from-text")
	}
	if c.Storage, err = newmodel.ParseStorage(o.like.kind, o.like.pure); err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	if err := c.Check(); err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	if c.Vocabulary, err = o.like.vocabulary(c.Preset.Vocab); err != nil {
		return err
	}
	if err := makeFolder(o.out); err != nil {
		return err
	}
	made, err := writeSynthetic(ctx, s, o.out, c)
	if err != nil {
		return err
	}
	return o.like.report(s, o.out, c.Preset, made)
}

func writeSynthetic(ctx context.Context, s *ui.Streams, path string, c newmodel.Synthetic) (newmodel.Made, error) {
	var bar *ui.Progress
	c.Progress = func(done, total int64) {
		if bar == nil {
			bar = ui.NewProgress(s, total, "write", "B")
		}
		bar.Set(done)
	}
	made, err := newmodel.WriteSynthetic(ctx, path, c)
	if bar != nil {
		bar.Finish()
	}
	return made, err
}

// vocabulary reads the vocabulary of --vocab-from or of the embedded model.
func (o *likeOptions) vocabulary(size int) (kvs []gguf.KV, err error) {
	path := o.vocabFrom
	if path == "" {
		dir, err := os.MkdirTemp("", "qlora-init-")
		if err != nil {
			return nil, fmt.Errorf("make a folder for the embedded model: %w", err)
		}
		defer os.RemoveAll(dir)
		path = filepath.Join(dir, "embedded.gguf")
		if err := embedded.Extract(path); err != nil {
			return nil, err
		}
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fileError(fmt.Errorf("read the vocabulary: %w", err), path)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if kvs, err = newmodel.Vocabulary(f, size); err != nil {
		return nil, ui.Fail(ui.ExitInvalid, err, "name a model of the same family with --vocab-from, or leave it out")
	}
	return kvs, nil
}

func (o *likeOptions) report(s *ui.Streams, path string, p newmodel.Preset, made newmodel.Made) error {
	if n := len(made.Fallbacks); n > 0 {
		s.Infof("qlora: the rows of %s are no whole blocks of the type that %s gives %s; %s took another (--json lists them)\n",
			english.Plural(n, "tensor", ""), o.kind, english.PluralWord(n, "it", "them"), english.PluralWord(n, "it", "they"))
	}
	s.Printf("%s: %s with random weights, %s parameters, %s (%s)\n", path, p.Name,
		humanize.Comma(made.Parameters), humanize.IBytes(uint64(made.Bytes)), countList(made.Types))
	return s.Event("summary", likeSummary{Model: path, Like: p.Name, Type: o.kind, Parameters: made.Parameters,
		VocabSize: p.Vocab, Bytes: made.Bytes, Tensors: made.Types, Fallbacks: made.Fallbacks})
}
