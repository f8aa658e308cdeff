package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover/card"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/ui"
)

// exportSource is what is handed over, open: an adapter with its base, or a
// whole model, which is its own base here.
type exportSource struct {
	path    string // of the adapter or the model
	adapter *lora.AdapterFile
	base    *gguf.File
	run     *config.Run    // that made it, nil when unknown
	summary *trainSummary  // of the run, nil when unknown
	builtIn []card.Adapter // by merges
}

// openExport opens the adapter or model at path, or that of a run's folder.
// base may be empty when the run's settings name it.
func openExport(path, base string, s *ui.Streams) (in *exportSource, err error) {
	result, err := resultIn(path)
	if err != nil {
		return nil, err
	}
	result.tell(s)
	in = &exportSource{path: result.path}
	defer func() {
		if err != nil {
			in.close()
		}
	}()
	if in.run, in.summary, err = readRun(filepath.Dir(in.path)); err != nil {
		return in, ui.Fail(ui.ExitInvalid, err, "move the file out of the run's folder to export it without the run's settings")
	}
	file, err := gguf.Open(in.path)
	if err != nil {
		return in, openError(err, in.path)
	}
	if kind, _ := file.String("general.type"); kind != "adapter" {
		in.base = file
		if !isResult(in.path) { // the run's base, or a merge, which says itself of what
			in.run, in.summary = nil, nil
			if in.builtIn, err = builtInto(file); err != nil {
				return in, err
			}
		}
		return in, in.sameBase(base)
	}
	if err := file.Close(); err != nil {
		return in, err
	}
	return in, in.openAdapter(base)
}

// isResult tells by its name whether a whole model is what a run in its folder
// trained.
func isResult(path string) bool {
	name := filepath.Base(path)
	return name == "model.gguf" || name == "model-best.gguf"
}

// isBest tells by its name whether a file holds a run's weights as they were at
// its best evaluation.
func isBest(path string) bool {
	name := filepath.Base(path)
	return name == "adapter-best.gguf" || name == "model-best.gguf"
}

// sameBase refuses a base that is given for a model that needs none.
func (in *exportSource) sameBase(base string) error {
	if base == "" {
		return nil
	}
	return ui.Fail(ui.ExitUsage, fmt.Errorf("%s is a whole model, and --base is for adapters", in.path), "leave --base out")
}

func (in *exportSource) openAdapter(base string) (err error) {
	if base == "" && in.run != nil {
		base = in.run.Model
	}
	if base == "" {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("%s is an adapter: its base is needed too", in.path), "name the model that it was trained on with --base MODEL.gguf")
	}
	if in.adapter, err = lora.OpenAdapter(in.path); err != nil {
		return openError(err, in.path)
	}
	if in.base, err = gguf.Open(base); err != nil {
		return ui.Fail(ui.ExitInvalid, openError(err, base), "name the model that the adapter was trained on with --base MODEL.gguf")
	}
	if kind, _ := in.base.String("general.type"); kind == "adapter" {
		return fileError(fmt.Errorf("open the base: %s %w", base, errIsAdapter), base)
	}
	if err := in.adapter.Check(in.base); err != nil {
		return ui.Fail(ui.ExitInvalid, err, "name the model that it was trained on with --base (qlora inspect shows both)")
	}
	return nil
}

// name is what the hand-over is called: as its run or its file.
func (in *exportSource) name() string {
	if in.summary != nil && in.summary.Run != "" {
		return card.Public(in.summary.Run)
	}
	return strings.TrimSuffix(filepath.Base(in.path), ".gguf")
}

func (in *exportSource) close() error {
	var errs []error
	if in.adapter != nil {
		errs = append(errs, in.adapter.Close())
	}
	if in.base != nil {
		errs = append(errs, in.base.Close())
	}
	return errors.Join(errs...)
}

// fileSizes adds up the bytes of files.
func fileSizes(paths ...string) (n int64) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			n += info.Size()
		}
	}
	return n
}
