package cli

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/config"
)

// trainSettings describes the settings of a run as flags, in the order of
// help. Keys, types and defaults are those of config.Run.
var trainSettings = []struct{ key, short, usage string }{
	{"model", "m", "GGUF `file` to fine-tune"},
	{"data", "d", "JSONL `file` to train on, with a weight as file:0.3; repeat for several"},
	{"eval-data", "", "JSONL `file` to evaluate on; repeat for several"},
	{"name", "", "`name` of the run: outputs/NAME, runs/NAME and logs/NAME.log"},
	{"output", "o", "`folder` of the adapter and the checkpoints (default outputs/NAME)"},
	{"ctx-size", "c", "`tokens` of a row, at most what the model was made for"},
	{"micro-batch-size", "", "`rows` computed at a time"},
	{"grad-accum", "", "micro-batches of a step"},
	{"method", "", "`method`: qlora (adapters) or full (every weight of an F32 model)"},
	{"rank", "", "rank of the adapters"},
	{"alpha", "", "numerator of the adapters' scale alpha/rank"},
	{"dropout", "", "share of the adapters' input dropped"},
	{"rslora", "", "scale by alpha/sqrt(rank)"},
	{"target", "", "`what` to adapt: all, attn, mlp, a list such as attn_q,ffn_down, or a regular expression"},
	{"from", "", "adapter `file` to continue from"},
	{"recompute", "", "`when` to compute activations twice to save memory: none, block or auto"},
	{"learning-rate", "", "highest learning rate (-lr)"},
	{"lr-min", "", "learning rate to fall to"},
	{"schedule", "", "learning rate `schedule`: constant, linear, cosine or wsd"},
	{"warmup-steps", "", "steps of rising learning rate; 0 takes warmup-ratio"},
	{"warmup-ratio", "", "share of all steps with a rising learning rate"},
	{"decay-ratio", "", "share of all steps with a falling learning rate, for schedule wsd"},
	{"weight-decay", "", "decoupled weight decay of AdamW"},
	{"beta1", "", "decay of AdamW's first moment"},
	{"beta2", "", "decay of AdamW's second moment"},
	{"eps", "", "epsilon of AdamW"},
	{"clip", "", "largest gradient norm, 0 for no clipping"},
	{"epochs", "", "passes over the data (default 1, or what max-steps needs)"},
	{"max-steps", "", "steps after which to stop, 0 for no limit"},
	{"eval-every", "", "steps between evaluations"},
	{"save-every", "", "steps between checkpoints"},
	{"log-every", "", "steps between reports"},
	{"keep-last", "", "newest checkpoints to keep beside the best, 0 for all"},
	{"patience", "", "evaluations without a better one before stopping, 0 for never"},
	{"sample-prompts", "", "`prompt` to answer at every checkpoint, into runs/NAME/samples.jsonl; repeat for several"},
	{"seed", "", "seed of the adapters, the order of the data and dropout"},
	{"pack", "", "lay several samples in a row; --pack=false pads instead"},
	{"loss", "", "`tokens` with loss: assistant, completion or all"},
	{"over-length", "", "`what` to do with samples longer than a row: truncate, drop, split or error"},
	{"chat-template", "", "`template` to use instead of the model's: a Jinja file or a built-in name"},
	{"template-date", "", "`day` that a chat template prints, as YYYY-MM-DD (default today)"},
	{"skip-invalid", "", "skip records that cannot be read, and exit with 3"},
	{"threads", "t", "threads to compute with, 0 for one per core"},
	{"device", "", deviceUsage},
	{"n-gpu-layers", "", "`layers` whose weights stay on the GPU (-ngl); -1: as many as fit, 0: train on the CPU"},
	{"vram-budget", "", vramBudgetUsage},
	{"precision", "", "`type` of activations: bf16, f16, f32, or auto, the best that the device has"},
}

// trainAliases are names that other trainers use for the same settings.
var trainAliases = []struct{ name, key string }{
	{"per-device-train-batch-size", "micro-batch-size"},
	{"gradient-accumulation-steps", "grad-accum"},
	{"max-seq-length", "ctx-size"},
	{"max-length", "ctx-size"},
	{"lora-r", "rank"},
	{"lora-rank", "rank"},
	{"lora-alpha", "alpha"},
	{"lora-dropout", "dropout"},
	{"use-rslora", "rslora"},
	{"lr", "learning-rate"},
	{"lr-scheduler-type", "schedule"},
	{"num-train-epochs", "epochs"},
	{"max-grad-norm", "clip"},
	{"adam-beta1", "beta1"},
	{"adam-beta2", "beta2"},
	{"adam-epsilon", "eps"},
	{"logging-steps", "log-every"},
	{"eval-steps", "eval-every"},
	{"save-steps", "save-every"},
	{"save-total-limit", "keep-last"},
	{"packing", "pack"},
	{"output-dir", "output"},
	{"run-name", "name"},
	{"gpu-layers", "n-gpu-layers"},
}

// settingFlag is a flag that collects values for a key of config.Run. It lays
// nothing over the other sources itself: config.ResolveRun does, in its order.
type settingFlag struct {
	key      string
	settings *[]config.Setting
}

func (f settingFlag) String() string {
	if f.key == "" { // pflag asks a zero value
		return ""
	}
	return config.DefaultRun().Text(f.key)
}

func (f settingFlag) Type() string { return config.DefaultRun().Kind(f.key) }

// Set checks the form of a value at once, so that a bad one is a usage error.
func (f settingFlag) Set(text string) error {
	scratch := config.DefaultRun()
	if err := scratch.Set(f.key, text); err != nil {
		return err
	}
	for i, s := range *f.settings {
		if s.Key == f.key {
			(*f.settings)[i].Values = append(s.Values, text)
			return nil
		}
	}
	*f.settings = append(*f.settings, config.Setting{Key: f.key, Values: []string{text}})
	return nil
}

// addSettingFlags adds the settings of a run with those keys, or all, under
// their own names, and the aliases, hidden.
func addSettingFlags(flags *pflag.FlagSet, settings *[]config.Setting, keys ...string) {
	wanted := func(key string) bool { return len(keys) == 0 || slices.Contains(keys, key) }
	add := func(name, short, key, usage string) *pflag.Flag {
		f := flags.VarPF(settingFlag{key, settings}, name, short, usage)
		if f.Value.Type() == "bool" {
			f.NoOptDefVal = "true"
		}
		return f
	}
	for _, s := range trainSettings {
		if wanted(s.key) {
			add(s.key, s.short, s.key, s.usage)
		}
	}
	for _, a := range trainAliases {
		if wanted(a.key) {
			add(a.name, "", a.key, "same as --"+a.key).Hidden = true
		}
	}
}
