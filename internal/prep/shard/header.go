package shard

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/qlora/qlora/internal/prep"
)

const (
	format  = "qlora-shard"
	version = 1
)

// Header says which run a part belongs to. A command sets Spec, Command, Rules
// and Options; parts are merged only when all but Index agree.
type Header struct {
	Format  string `json:"format"`  // "qlora-shard"
	Version int    `json:"version"` // 1
	Command string `json:"command"` // such as "logs2sft"
	Spec
	Rules   string `json:"rules"`   // names what the command makes of equal inputs and options
	Options string `json:"options"` // OptionsHash of what shapes the output
}

// OptionsHash is a short hash of the JSON form of options. Leave out what does
// not change the output: paths of outputs, workers, the shard itself.
func OptionsHash(options any) (string, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return "", fmt.Errorf("hash the options: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// footer ends a part's file of keys: without it the part is not complete.
type footer struct {
	Records    int64      `json:"records"`
	Duplicates int64      `json:"duplicates"`
	Dropped    prep.Tally `json:"dropped,omitempty"`
	Bytes      int64      `json:"bytes"`
	SHA256     string     `json:"sha256"`
}

// Result is what was written.
type Result struct {
	Records    int64      `json:"records"`
	Duplicates int64      `json:"duplicates"`        // records that gave way to another of their ID
	Dropped    prep.Tally `json:"dropped,omitempty"` // what the command left out, by reason
	Bytes      int64      `json:"bytes"`
	SHA256     string     `json:"sha256"`
}

// KeysPath is where the keys of the part out are.
func KeysPath(out string) string { return out + ".shard.json" }
