// Package batch runs many requests through one libllama context: sequences join
// and leave between decodes, and those of one adapter share a decode.
package batch

import (
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/serve/engine"
)

// Options sizes a scheduler.
type Options struct {
	Name  string // of the base, as requests spell it
	Ctx   int    // tokens of one sequence
	Slots int    // sequences at the same time
	// Context carries what else libllama is told; sizes and switches in it are
	// filled in here.
	Context  llama.ContextOptions
	Adapters []Adapter
}

// Adapter is what requests for Name apply.
type Adapter struct {
	Name  string
	Apply []llama.AdapterScale
}

// contextOptions completes those of the caller. Each sequence has a cache of
// its own: in a shared one every token attends to all sequences, masked, and 64
// short answers cost four times the arithmetic of the model itself.
func (o Options) contextOptions() llama.ContextOptions {
	c := o.Context
	per := (o.Ctx + cacheUnit - 1) / cacheUnit * cacheUnit
	c.Ctx, c.Sequences = per*o.places(), o.places()
	c.SplitCache = true
	c.SwitchAdapters = len(o.Adapters) > 0
	if c.Batch <= 0 {
		c.Batch = max(defaultBatch, o.Slots)
	}
	return c
}

// places is how many slots there are: with adapters one more than are used at a time, since sequences can only be put in
// order with a free one. Two are always in order.
func (o Options) places() int {
	if len(o.Adapters) == 0 || o.Slots < 3 || o.Slots >= maxSequences {
		return o.Slots
	}
	return o.Slots + 1
}

const (
	maxSequences = 256 // that libllama was built for

	cacheUnit    = 256 // libllama rounds the cache of a sequence up to this
	defaultBatch = 512 // tokens of a decode: others wait for it, so not more
)

// info describes the model for engine.Info.
func (s *Scheduler) info() engine.Info {
	m := s.ctx.Model()
	v := m.Vocab()
	info := engine.Info{
		Model: s.options.Name, Path: m.Path(), Describe: m.Describe(), Ctx: s.options.Ctx, Slots: s.options.Slots,
		Template: m.ChatTemplate(), CanFill: s.canFill, VocabSize: v.Size(),
	}
	for _, a := range s.options.Adapters {
		info.Adapters = append(info.Adapters, a.Name)
	}
	spell := func(token int32) string {
		if token < 0 {
			return ""
		}
		return v.Decode([]int32{token})
	}
	info.BOS, info.EOS = spell(v.BOS()), spell(v.EOS())
	return info
}
