package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/bpe"
	"github.com/qlora/qlora/internal/newmodel"
	"github.com/qlora/qlora/internal/ui"
)

const initLong = `Init writes a GGUF model of the llama architecture that has learned nothing
yet: a byte-level BPE vocabulary trained on the text you give, fill-in-the-middle
and chat tokens, a ChatML template, and F32 weights drawn at random. Train it
with "qlora train --method full".

Text is a file, or a folder that is read whole: hidden entries and files that
are not UTF-8 text are left out. The same text, shape and seed give the same
bytes.

--shape changes the default (embd=256,ffn=768,layers=6,heads=4,kv-heads=2,
context=1024,rope=10000,eps=1e-5,tied=false) item by item. Widths that are
multiples of 256 let every matrix be stored as a K-quant.

With --like, init writes a model of a published shape with random weights in any
type, as fast as the disk takes it, to measure speed and memory before a
download. The name of a type (q8_0, q4_k) stores every matrix in it; q2_k and the
names with _s, _m and _l are llama.cpp's mixtures. Qwen2.5 also goes by its size
alone, such as 7b. The vocabulary is the embedded model's, or that of --vocab-from,
and is padded to the size of the published one.`

type initOptions struct {
	text    []string
	vocab   int
	shape   string
	init    newmodel.Init
	name    string
	license string
	out     string
	like    likeOptions
}

// initSummary is the closing line of --json.
type initSummary struct {
	Model      string `json:"model"`
	Parameters int64  `json:"parameters"`
	VocabSize  int    `json:"vocab_size"`
	TextFiles  int    `json:"text_files"`
	TextBytes  int64  `json:"text_bytes"`
	Skipped    int    `json:"skipped"`
}

func newInitCmd(s *ui.Streams) *cobra.Command {
	o := initOptions{init: newmodel.DefaultInit()}
	cmd := &cobra.Command{
		Use:   "init {--vocab-from-text PATH | --like NAME} -o FILE",
		Short: "make a new model, or a stand-in for a published one",
		Long:  initLong + exitStatus(ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora init --vocab-from-text docs -o init.gguf
  qlora init --vocab-from-text src --vocab-size 4096 --shape layers=8,tied=true -o init.gguf
  qlora init --like qwen2.5-7b --type q4_k_m -o 7b.gguf`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			if o.like.preset != "" {
				return o.runLike(cmd.Context(), cmd, s)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *initOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&o.text, "vocab-from-text", nil, "file or folder to train the vocabulary on (repeatable)")
	flags.IntVar(&o.vocab, "vocab-size", 4096, "tokens in the vocabulary, 256 bytes and special tokens included")
	flags.StringVar(&o.shape, "shape", "", "changes to the default shape, for example layers=8,tied=true")
	flags.Uint64Var(&o.init.Seed, "seed", o.init.Seed, "seed of the weights")
	flags.Float64Var(&o.init.Std, "init-std", o.init.Std, "standard deviation of the weights")
	flags.Float64Var(&o.init.Attention, "init-attention-std", o.init.Attention, "standard deviation of attn_q and attn_k")
	flags.Float64Var(&o.init.Embd, "init-embd-std", o.init.Embd, "standard deviation of the token embedding")
	flags.StringVar(&o.name, "name", "new", "name of the model, in its metadata")
	flags.StringVar(&o.license, "license", "", "licence of the model, in its metadata (SPDX)")
	o.like.addFlags(cmd)
	flags.StringVarP(&o.out, "out", "o", "", "file to write")
}

func (o *initOptions) check(cmd *cobra.Command) error {
	if err := o.like.check(cmd); err != nil {
		return asUsage(cmd, err)
	}
	if len(o.text) == 0 && o.like.preset == "" {
		return asUsage(cmd, errors.New("init needs --vocab-from-text, the text to train the vocabulary on, or --like, a published model"))
	}
	if err := needFlags(cmd, "out", o.out); err != nil {
		return err
	}
	if err := refuseSource("-o", o.out, ".gguf", o.text...); err != nil {
		return err
	}
	return refuseOverwrite("-o", o.out, append(modelFiles(o.like.vocabFrom), o.text...)...)
}

func (o *initOptions) run(ctx context.Context, s *ui.Streams) error {
	shape, err := newmodel.ParseShape(o.shape)
	if err != nil {
		return ui.Fail(ui.ExitUsage, err, "run 'qlora init --help' for the shape items")
	}
	if err := o.init.Check(); err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	if least := newmodel.MinVocab(); o.vocab < least {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("--vocab-size %d cannot hold 256 bytes and the special tokens: the least is %d", o.vocab, least))
	}
	trainer, count, err := o.read(ctx)
	if err != nil {
		return err
	}
	vocab, err := trainer.Train(o.vocab, newmodel.Specials())
	if err != nil {
		return ui.Fail(ui.ExitInvalid, err, "give more text, or a smaller --vocab-size")
	}
	if err := makeFolder(o.out); err != nil {
		return err
	}
	parameters, err := newmodel.Write(o.out, newmodel.Config{
		Shape: shape, Init: o.init, Vocab: vocab, Name: o.name, License: o.license,
	})
	if err != nil {
		return err
	}
	return o.report(s, initSummary{o.out, parameters, vocab.Size(), count.Files, trainer.Bytes(), count.Skipped})
}

// read counts the words of all the text.
func (o *initOptions) read(ctx context.Context) (*bpe.Trainer, newmodel.Source, error) {
	trainer, count := bpe.NewTrainer(), newmodel.Source{}
	for _, path := range o.text {
		if err := ctx.Err(); err != nil {
			return nil, count, err
		}
		if err := newmodel.AddText(trainer, path, &count); err != nil {
			return nil, count, ui.Fail(ui.ExitInvalid, err, "name files of text, or a folder that holds some, with --vocab-from-text")
		}
	}
	return trainer, count, nil
}

func (o *initOptions) report(s *ui.Streams, sum initSummary) error {
	if !s.JSON {
		s.Printf("%s: %s parameters, %d tokens learned from %s, %s\n",
			sum.Model, humanize.Comma(sum.Parameters), sum.VocabSize, english.Plural(sum.TextFiles, "file", ""), humanize.IBytes(uint64(sum.TextBytes)))
	}
	return s.Event("summary", sum)
}
