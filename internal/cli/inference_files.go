package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/ui"
)

// loraSpec is one adapter of a --lora flag.
type loraSpec struct {
	runResult
	scale float32
}

// parseLoRA reads FILE or FILE:SCALE, where the folder of a run stands for its
// result. What follows the last colon is part of the name unless it is a number.
func parseLoRA(args []string) ([]loraSpec, error) {
	var specs []loraSpec
	for _, arg := range args {
		path, scale := arg, 1.0
		if at := strings.LastIndexByte(arg, ':'); at >= 0 {
			if number, err := strconv.ParseFloat(arg[at+1:], 32); err == nil {
				path, scale = arg[:at], number
			}
		}
		if path == "" {
			return nil, ui.Fail(ui.ExitUsage, fmt.Errorf("--lora %q names no file", arg), "name an adapter, such as --lora outputs/mine/adapter.gguf")
		}
		if math.IsNaN(scale) || math.IsInf(scale, 0) {
			return nil, ui.Fail(ui.ExitUsage, fmt.Errorf("--lora %q: the scale is not a finite number", arg), "write FILE:0.5 for half of an adapter")
		}
		result, err := resultIn(path)
		if err != nil {
			return nil, err
		}
		specs = append(specs, loraSpec{result, float32(scale)})
	}
	return specs, nil
}

// checkModel reads the headers of a model and of the adapters for it before
// libllama does: on values of another type than it expects libllama ends the
// process.
func checkModel(model string, adapters []loraSpec) (err error) {
	base, err := gguf.Open(model)
	if err != nil {
		return fileError(fmt.Errorf("load model: %w", err), model)
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	if kind, _ := base.Get("general.type"); kind == "adapter" {
		return fileError(fmt.Errorf("load model: %s %w", model, errIsAdapter), model)
	}
	for _, spec := range adapters {
		if err := fitAdapter(spec.path, base); err != nil {
			return fileError(fmt.Errorf("load adapter: %w", err), spec.path)
		}
	}
	return nil
}

// errIsAdapter marks an adapter where a model is wanted.
var errIsAdapter = errors.New("is an adapter, not a model")

// adapterHint puts what a command does with adapters in place of the hint about
// one that stands where a model is wanted.
func adapterHint(err error, hint string) error {
	var coded *ui.CodedError
	if errors.Is(err, errIsAdapter) && errors.As(err, &coded) {
		coded.Hints = []string{hint}
	}
	return err
}

// useLoRA is adapterHint for commands that apply adapters to the model of -m.
func useLoRA(err error, path string) error {
	return adapterHint(err, "name its base with -m and the adapter with --lora "+path)
}

// fitAdapter refuses an adapter that libllama cannot apply to base.
func fitAdapter(path string, base *gguf.File) (err error) {
	a, err := lora.OpenAdapter(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.Check(base); err != nil {
		return err
	}
	return checkAlpha(path)
}

// checkAlpha wants the one type of alpha that libllama reads.
func checkAlpha(path string) (err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const key = "adapter.lora.alpha"
	if v, ok := f.Get(key); ok {
		if _, ok := v.(float32); !ok {
			return fmt.Errorf("%s: %s is a %T, want float32", path, key, v)
		}
	}
	return nil
}

// fileError says what to do about a file that cannot be used.
func fileError(err error, path string) error {
	hint := fmt.Sprintf("look into the file with 'qlora inspect %s'", path)
	var mismatch *lora.MismatchError
	switch {
	case errors.Is(err, errIsAdapter):
		hint = "name the model that it was trained on in its place"
	case errors.Is(err, fs.ErrNotExist):
		hint = fmt.Sprintf("list what is there with 'ls %s'", filepath.Dir(path))
	case isFolder(path):
		hint = "name the GGUF file, not its folder"
	case errors.As(err, &mismatch):
		hint = "an adapter fits only the model that it was trained on (qlora inspect shows both)"
	}
	return ui.Fail(ui.ExitInvalid, err, hint)
}

// modelError gives an error of internal/llama its exit code and hints.
func modelError(err error) error {
	var file *llama.FileError
	switch {
	case errors.As(err, &file):
		return fileError(err, file.Path)
	case errors.Is(err, llama.ErrNoMemory):
		return ui.Fail(ui.ExitDevice, err, "ask for a smaller context with --ctx-size, or on a GPU for fewer layers with -ngl")
	case errors.Is(err, llama.ErrContextFull):
		return ui.Fail(ui.ExitFailure, err, "ask for a larger context with --ctx-size")
	default:
		return err
	}
}
