package card

import (
	"path"
	"regexp"
	"strings"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/gguf"
)

// Format is how the weights beside a card are kept.
type Format string

// The formats.
const (
	GGUF   Format = "gguf"
	PEFT   Format = "peft"
	Ollama Format = "ollama"
)

// Card is what is known of an adapter or a model. What is not known stays
// empty and is left out, or said to be unknown where a reader will miss it.
type Card struct {
	Name    string
	Format  Format
	Merged  bool   // whole model and not an adapter
	File    string // name of the weights, for the examples of use
	Tool    string // that made it, with version
	Base    Base
	Rank    int     // 0 for a merged model
	Alpha   float64 // as stored: the scale is Alpha/Rank
	Targets []string
	Run     *config.Run // nil where the settings are not known
	Result  *Result     // nil where it is not known
	Train   []DataFile
	Eval    []DataFile

	Adapters []Adapter // that are built into a merged model
}

// Base is what the base model's file says of itself.
type Base struct {
	Name, Hub    string // general.name, and its name at the hub
	Architecture string
	License      string // as the file says it, mostly an SPDX identifier
	LicenseName  string
	LicenseLink  string
	Languages    []string
	File         string // without its folder
}

// Result is how a run ended.
type Result struct {
	Steps          int      `json:"steps"`
	BestStep       int      `json:"best_step"`
	TrainedTokens  int64    `json:"trained_tokens"`
	TrainLoss      float64  `json:"train_loss"` // mean over trained tokens, nats
	EvalLossBefore *float64 `json:"eval_loss_before"`
	EvalLoss       *float64 `json:"eval_loss"`
	BestEvalLoss   *float64 `json:"best_eval_loss"`
	Best           bool     `json:"best,omitempty"` // the weights are those of BestStep, not the last ones
}

// loss is that of the held-out data under the weights beside the card.
func (r *Result) loss() *float64 {
	if r.Best {
		return r.BestEvalLoss
	}
	return r.EvalLoss
}

// DataFile counts what was taken from one file.
type DataFile struct {
	Name    string  `json:"file"` // without its folder
	Weight  float64 `json:"weight"`
	Records int     `json:"records"`
	Samples int     `json:"samples"`
	Tokens  int64   `json:"tokens"`
	Trained int64   `json:"trained_tokens"`
}

// BaseOf reads the metadata of a model.
func BaseOf(f *gguf.File) Base {
	text := func(key string) string {
		s, _ := f.String(key)
		return Public(strings.TrimSpace(s))
	}
	b := Base{Name: text("general.name"), Architecture: text("general.architecture"), License: text("general.license"),
		LicenseName: text("general.license.name"), LicenseLink: text("general.license.link"), Hub: hubName(f), File: FileName(f.Paths()[0])}
	languages, _ := f.Strings("general.languages")
	for _, l := range languages {
		b.Languages = append(b.Languages, Public(l))
	}
	return b
}

// hubKeys may say where a model came from. general.base_model is not among
// them: that is what the model itself was tuned from.
var hubKeys = []string{"general.source.huggingface.repository", "general.source.repo_url", "general.repo_url", "general.source.url", "general.url"}

var hubURL = regexp.MustCompile(`^(?:https?://(?:huggingface\.co|hf\.co)/)?([\w.-]+/[\w.-]+?)/?$`)

func hubName(f *gguf.File) string {
	for _, key := range hubKeys {
		text, _ := f.String(key)
		if m := hubURL.FindStringSubmatch(strings.TrimSpace(text)); m != nil {
			return m[1]
		}
	}
	return ""
}

// Label is the best name of a base: at the hub, its own, or its file's.
func (b Base) Label() string {
	for _, name := range []string{b.Hub, b.Name, b.File} {
		if name != "" {
			return name
		}
	}
	return "an unnamed model"
}

// FileName is the last part of a path of either spelling.
func FileName(p string) string {
	p = strings.TrimRight(strings.ReplaceAll(p, `\`, "/"), "/")
	return path.Base(p)
}

var anyPath = regexp.MustCompile(`^(?:~|/|\.\.?/|[A-Za-z]:[\\/]|\\\\|file:)`)

// Public is text fit for a card: of what is a path on someone's machine, only
// the last part.
func Public(text string) string {
	if anyPath.MatchString(text) {
		return FileName(text)
	}
	return text
}
