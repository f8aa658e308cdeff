package recipe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/qlora/qlora/internal/bpe"
	"github.com/qlora/qlora/internal/newmodel"
)

const (
	// VocabSize is the size of the embedded model's vocabulary.
	VocabSize = 4096
	// Context is the longest sample, in tokens.
	Context = 512
)

// fimShare is the percentage of training files given as fill-in-the-middle
// records instead of running text.
const fimShare = 40

// Text is a record of running text.
type Text struct {
	Text string `json:"text"`
}

// Corpus is the training data and the held-out files.
type Corpus struct {
	Texts   []Text
	FIMs    []FIM
	Chats   []Chat
	HeldOut []File
	Vocab   string // all training text, to train the vocabulary on
}

// Build makes the corpus from the files of a Go installation. Training files are
// given as running text or as fill-in-the-middle records, never both.
func Build(files []File) (*Corpus, error) {
	c := &Corpus{}
	var all strings.Builder
	for _, f := range files {
		if f.HeldOut {
			c.HeldOut = append(c.HeldOut, f)
			continue
		}
		all.WriteString(f.Text)
		if hash("kind", f.Path)%100 < fimShare {
			c.FIMs = append(c.FIMs, FIMs(f)...)
		} else {
			c.Texts = append(c.Texts, Text{f.Text})
		}
	}
	c.Vocab = all.String()
	if err := c.dropLong(); err != nil {
		return nil, err
	}
	var err error
	c.Chats, err = Chats(files)
	return c, err
}

// dropLong removes the few fill-in-the-middle records that would not fit into
// the context: a record, unlike running text, cannot be cut.
func (c *Corpus) dropLong() error {
	trainer := bpe.NewTrainer()
	trainer.Add(c.Vocab)
	vocab, err := trainer.Train(VocabSize, newmodel.Specials())
	if err != nil {
		return err
	}
	encoder, err := bpe.NewEncoder(vocab)
	if err != nil {
		return err
	}
	kept := c.FIMs[:0]
	for _, r := range c.FIMs {
		const specials = 4 // prefix, suffix, middle, end of text
		n := specials
		for _, part := range []string{r.Prefix, r.Suffix, r.Middle} {
			n += len(encoder.Encode(part, false))
		}
		if n <= Context {
			kept = append(kept, r)
		}
	}
	c.FIMs = kept
	return nil
}

// Write stores the corpus in dir: vocab.txt for the vocabulary, text.jsonl,
// fim.jsonl and chat.jsonl to train on, heldout.jsonl to measure.
func (c *Corpus) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the corpus folder: %w", err)
	}
	if err := writeFile(filepath.Join(dir, "vocab.txt"), func(w *bufio.Writer) error {
		_, err := w.WriteString(c.Vocab)
		return err
	}); err != nil {
		return err
	}
	heldOut := make([]Text, len(c.HeldOut))
	for i, f := range c.HeldOut {
		heldOut[i].Text = f.Text
	}
	if err := writeLines(filepath.Join(dir, "text.jsonl"), c.Texts); err != nil {
		return err
	}
	if err := writeLines(filepath.Join(dir, "fim.jsonl"), c.FIMs); err != nil {
		return err
	}
	if err := writeLines(filepath.Join(dir, "chat.jsonl"), c.Chats); err != nil {
		return err
	}
	return writeLines(filepath.Join(dir, "heldout.jsonl"), heldOut)
}

// writeLines stores records as JSON lines.
func writeLines[T any](path string, records []T) error {
	return writeFile(path, func(w *bufio.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, r := range records {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeFile fills a file that appears only whole.
func writeFile(path string, fill func(*bufio.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".corpus-*")
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	w := bufio.NewWriter(f)
	err = errors.Join(fill(w), w.Flush(), f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
