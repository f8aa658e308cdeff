// Logits writes what libllama computes for a text: for every token of it the
// logits after it, as rows of little-endian F32.
//
//	go run ./benchmarks/logits MODEL.gguf ADAPTER.gguf TOKENS OUT
//
// ADAPTER may be empty. TOKENS is a file of token ids between white space. It
// serves benchmarks/handover.sh.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/qlora/qlora/internal/llama"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: logits MODEL.gguf ADAPTER.gguf TOKENS OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "logits:", err)
		os.Exit(1)
	}
}

func run(path, adapter, tokens, out string) (err error) {
	batch, err := readTokens(tokens)
	if err != nil {
		return err
	}
	model, err := llama.Load(path, llama.LoadOptions{MMap: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	c, err := model.NewContext(llama.ContextOptions{Ctx: batch.Len(), Batch: batch.Len(), UBatch: batch.Len()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if adapter != "" {
		a, err := model.LoadAdapter(adapter)
		if err != nil {
			return err
		}
		if err := c.SetAdapters([]llama.AdapterScale{{Adapter: a, Scale: 1}}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close(), a.Close()) }()
	}
	if err := c.Decode(batch); err != nil {
		return err
	}
	var data []byte
	for i := range batch.Len() {
		for _, l := range c.Logits(i) {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(l))
		}
	}
	return os.WriteFile(out, data, 0o644)
}

func readTokens(path string) (b llama.Batch, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return b, err
	}
	for i, field := range strings.Fields(string(text)) {
		var id int32
		if _, err := fmt.Sscan(field, &id); err != nil {
			return b, fmt.Errorf("%s: token %d: %w", path, i+1, err)
		}
		b.Add(id, int32(i), 0, true)
	}
	return b, nil
}
