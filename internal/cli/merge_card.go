package cli

import (
	"cmp"
	"path/filepath"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover/card"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/ui"
)

// recordAdapters keeps in the merged model's file what its adapters' cards say:
// the file may leave the folder that it is written to, and they come from others.
func recordAdapters(plan *lora.Plan, base *gguf.File, adapters []lora.Scaled, s *ui.Streams) error {
	all, err := builtInto(base)
	if err != nil {
		return err
	}
	for _, a := range adapters {
		all = append(all, adapterCard(a, s).Adapter(a.Factor))
	}
	text, err := card.EncodeAdapters(all)
	if err != nil {
		return err
	}
	plan.SetMetadata(card.AdaptersKey, text)
	return nil
}

func builtInto(model *gguf.File) ([]card.Adapter, error) {
	all, err := card.AdaptersOf(model)
	return all, ui.Fail(ui.ExitInvalid, err, "merge the model again with 'qlora merge'")
}

// adapterCard is what an adapter's file says, and the run that made it.
func adapterCard(a lora.Scaled, s *ui.Streams) *card.Card {
	run, summary, err := readRun(filepath.Dir(a.Path))
	if err != nil {
		s.Warnf("%v; cards of the merged model will not tell of the training of %s", err, a.Path)
		run, summary = nil, nil
	}
	c := &card.Card{Name: cmp.Or(a.Name, strings.TrimSuffix(filepath.Base(a.Path), ".gguf"))}
	if summary != nil && summary.Run != "" {
		c.Name = summary.Run
	}
	c.Name = card.Public(c.Name)
	describeAdapter(c, a.AdapterFile)
	describeRun(c, run, summary)
	markBest(c, a.Path)
	return c
}
