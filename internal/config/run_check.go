package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check finds what is missing or contradictory in the settings of a run before
// any file is opened. Packages that use a value check its range themselves.
func (r Run) Check() error {
	switch {
	case r.Model != "" && len(r.Data) == 0:
		return errors.New("no training data: give -d FILE.jsonl")
	case r.Patience > 0 && len(r.EvalData) == 0:
		return errors.New("patience needs eval-data to judge by")
	case r.Name != "" && !goodName(r.Name):
		return fmt.Errorf("name %q: want letters, digits, dots, dashes and underscores, not beginning with a dot", r.Name)
	}
	return r.CheckStep()
}

// CheckStep is the part of Check that is about what one step computes and where.
func (r Run) CheckStep() error {
	switch {
	case r.Model == "":
		return errors.New("no model: give -m FILE.gguf")
	case r.Method != "qlora" && r.Method != "full":
		return fmt.Errorf("method %q: it is qlora or full", r.Method)
	case r.CtxSize < 2:
		return fmt.Errorf("ctx-size %d: a row holds at least 2 tokens", r.CtxSize)
	case r.MicroBatchSize < 1:
		return fmt.Errorf("micro-batch-size %d: at least 1", r.MicroBatchSize)
	case r.Threads < 0:
		return fmt.Errorf("threads %d: 0 for one per core, or more", r.Threads)
	}
	return checkDevice(r)
}

// goodName keeps a run's name from being a path.
func goodName(name string) bool {
	for _, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("._-", c) {
			return false
		}
	}
	return name[0] != '.' && name[0] != '-'
}

// identityKeys are the settings that a run continued from a checkpoint must
// share with the one that wrote it. Data, model and what shapes the samples
// enter through fingerprints; the length of the run may change.
var identityKeys = []string{
	"method", "rank", "alpha", "dropout", "rslora", "target",
	"ctx-size", "pack", "micro-batch-size", "grad-accum",
	"learning-rate", "lr-min", "schedule", "warmup-steps", "warmup-ratio", "decay-ratio",
	"weight-decay", "beta1", "beta2", "eps", "clip", "seed",
	"precision",
}

// loraKeys mean nothing to method full.
var loraKeys = []string{"rank", "alpha", "dropout", "rslora", "target"}

// Identity is the settings that decide what a run computes, by name, with the
// fingerprint of the model, and the digest of all of them.
func (r Run) Identity(model string) (settings map[string]string, digest string) {
	settings = map[string]string{"model": model}
	for _, key := range identityKeys {
		if r.Method == "full" && slices.Contains(loraKeys, key) {
			continue
		}
		settings[key] = r.Text(key)
	}
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(h, "%s=%q\n", key, settings[key])
	}
	return settings, hex.EncodeToString(h.Sum(nil))
}
