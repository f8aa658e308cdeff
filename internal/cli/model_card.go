package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover/card"
	"github.com/qlora/qlora/internal/lora"
)

// cardFile is the model card, beside the adapter.
const cardFile = "README.md"

// dataCounts is what a run took from its files, in its summary.
type dataCounts struct {
	Train []card.DataFile `json:"train"`
	Eval  []card.DataFile `json:"eval,omitempty"`
}

func (d *trainData) counts() *dataCounts {
	return &dataCounts{Train: fileCounts(d.report), Eval: fileCounts(d.evalReport)}
}

// fileCounts names files without their folders: summaries and cards are passed
// on.
func fileCounts(r *dataset.Report) []card.DataFile {
	if r == nil {
		return nil
	}
	var files []card.DataFile
	for _, f := range r.Files {
		files = append(files, card.DataFile{Name: card.FileName(f.Path), Weight: f.Weight, Records: f.Records,
			Samples: f.Samples, Tokens: f.Tokens, Trained: f.Trained})
	}
	return files
}

// writeCard writes the card of a run's result beside it.
func (j *trainJob) writeCard(m *trainSummary) error {
	c := &card.Card{Name: j.r.Name, Format: card.GGUF, Merged: j.r.Method == engine.MethodFull, File: filepath.Base(m.Adapter),
		Tool: "qlora " + versionString(), Base: card.BaseOf(j.base)}
	if !c.Merged {
		a, err := lora.OpenAdapter(m.Adapter)
		if err != nil {
			return err
		}
		describeAdapter(c, a)
		if err := a.Close(); err != nil {
			return err
		}
	}
	describeRun(c, &j.r, m)
	text, err := c.Text()
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(j.r.Output, cardFile), []byte(text))
}

// describeAdapter takes what an adapter's own file says.
func describeAdapter(c *card.Card, a *lora.AdapterFile) {
	c.Alpha = a.Alpha
	for _, p := range a.Pairs {
		c.Rank = max(c.Rank, p.Rank)
		name := strings.TrimSuffix(p.Base, ".weight")
		name = name[strings.LastIndexByte(name, '.')+1:]
		if !slices.Contains(c.Targets, name) {
			c.Targets = append(c.Targets, name)
		}
	}
}

// describeRun takes the settings and the result; either may be nil.
func describeRun(c *card.Card, r *config.Run, m *trainSummary) {
	c.Run = r
	if m == nil {
		return
	}
	c.Result = &card.Result{Steps: m.Steps, BestStep: m.BestStep, TrainedTokens: m.TrainedTokens, TrainLoss: m.TrainLoss,
		EvalLossBefore: m.EvalLossBefore, EvalLoss: m.EvalLoss, BestEvalLoss: m.BestEvalLoss}
	if m.Data != nil {
		c.Train, c.Eval = m.Data.Train, m.Data.Eval
	}
}

// readRun reads the settings and the summary that training left in dir; what
// is not there comes back nil.
func readRun(dir string) (*config.Run, *trainSummary, error) {
	r := config.DefaultRun()
	run := &r
	if err := config.ReadFile(filepath.Join(dir, configFile), run); errors.Is(err, os.ErrNotExist) {
		run = nil
	} else if err != nil {
		return nil, nil, err
	}
	summary, err := readSummary(dir)
	return run, summary, err
}

// cardOf is the card of a hand-over: what the files say, and what the run that
// made them left beside them.
func cardOf(in *exportSource, format card.Format, file string) *card.Card {
	c := &card.Card{Name: in.name(), Format: format, Merged: in.adapter == nil, File: file,
		Tool: "qlora " + versionString(), Base: card.BaseOf(in.base)}
	if in.adapter != nil {
		describeAdapter(c, in.adapter)
	}
	describeRun(c, in.run, in.summary)
	markBest(c, in.path)
	c.Adapters = in.builtIn
	return c
}

// markBest says of the weights of a run's best evaluation that they are.
func markBest(c *card.Card, path string) {
	if c.Result != nil {
		c.Result.Best = isBest(path) && c.Result.BestEvalLoss != nil
	}
}

// baseHub is the name of a base at the hub, or its own name.
func baseHub(base *gguf.File) (name string, known bool) {
	b := card.BaseOf(base)
	return b.Label(), b.Hub != ""
}
