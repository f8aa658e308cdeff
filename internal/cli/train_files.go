package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/ui"
)

// checkTrainFiles finds files of another kind than their flags want.
func checkTrainFiles(r config.Run, base *gguf.File) error {
	if kind, _ := base.Get("general.type"); kind == "adapter" {
		return ui.Fail(ui.ExitInvalid, fmt.Errorf("load model: %s %w", r.Model, errIsAdapter),
			"name its base with -m; to go on training the adapter, add --from "+r.Model)
	}
	if r.From == "" {
		return nil
	}
	if err := fitAdapter(r.From, base); err != nil {
		return fileError(fmt.Errorf("continue from an adapter: %w", err), r.From)
	}
	return nil
}

// prepareHints is what to do when the engine does not take the model or the
// adapter to continue from.
func prepareHints(r config.Run, err error) []string {
	switch text := err.Error(); {
	case strings.Contains(text, "continue from "):
		return []string{fmt.Sprintf("give the adapter's own --rank and --target; 'qlora inspect %s' shows them", r.From)}
	case r.Method == engine.MethodFull && strings.Contains(text, "F32 model"):
		return []string{
			fmt.Sprintf("write one: qlora quantize -m %s -o model-f32.gguf --type f32 --allow-requantize", r.Model),
			"or train adapters over the model as it is: --method qlora",
		}
	}
	return nil
}

// checkInputs finds files that are not there, or are of another kind, before a
// device is opened or an earlier run put aside.
func checkInputs(r config.Run) (err error) {
	for _, files := range [][]string{r.Data, r.EvalData} {
		sources, err := dataset.ParseSources(files)
		if err != nil {
			return ui.Fail(ui.ExitUsage, err)
		}
		if err := checkDataFiles(sources); err != nil {
			return err
		}
	}
	base, err := openBase(r)
	if err != nil {
		return err
	}
	return errors.Join(checkTrainFiles(r, base), base.Close())
}

func openBase(r config.Run) (*gguf.File, error) {
	base, err := gguf.Open(r.Model)
	if err != nil {
		return nil, fileError(fmt.Errorf("load model: %w", err), r.Model)
	}
	return base, nil
}

// checkDataFiles finds data that is not there before any of it is read.
func checkDataFiles(sources []dataset.Source) error {
	for _, s := range sources {
		switch _, err := os.Stat(s.Path); {
		case errors.Is(err, fs.ErrNotExist):
			return ui.Fail(ui.ExitInvalid, fmt.Errorf("read data: %w", err),
				fmt.Sprintf("list what is there with 'ls %s'", filepath.Dir(s.Path)),
				"make data with 'qlora prep logs2sft' or 'qlora prep repo2fim'")
		case isFolder(s.Path):
			return ui.Fail(ui.ExitInvalid, fmt.Errorf("read data: %s is a folder", s.Path),
				fmt.Sprintf("name the files in it: 'ls %s' lists them", s.Path))
		}
	}
	return nil
}
