package peft

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Files of the folder.
const (
	ConfigFile = "adapter_config.json"
	TensorFile = "adapter_model.safetensors"
)

// Config is what matters of adapter_config.json, under the names of PEFT's
// LoraConfig.
type Config struct {
	PeftType     string             `json:"peft_type"`
	TaskType     string             `json:"task_type"`
	Base         string             `json:"base_model_name_or_path"`
	Rank         int                `json:"r"`
	Alpha        float64            `json:"lora_alpha"`
	Dropout      float64            `json:"lora_dropout"`
	Targets      any                `json:"target_modules"` // names, or a regular expression
	RankPattern  map[string]int     `json:"rank_pattern"`
	AlphaPattern map[string]float64 `json:"alpha_pattern"`
	RSLoRA       bool               `json:"use_rslora"`
	Bias         string             `json:"bias"`
	FanInFanOut  bool               `json:"fan_in_fan_out"`
	Inference    bool               `json:"inference_mode"`
	Init         any                `json:"init_lora_weights"`
	SaveModules  []string           `json:"modules_to_save"`

	// UnsupportedError is made of these; they are not written.
	DoRA        bool     `json:"use_dora"`
	LoRABias    bool     `json:"lora_bias,omitempty"`
	QALoRA      bool     `json:"use_qalora,omitempty"`
	Replication []any    `json:"layer_replication,omitempty"`
	Parameters  []string `json:"target_parameters,omitempty"`
	TokenRows   any      `json:"trainable_token_indices,omitempty"`
	Invocation  []int    `json:"alora_invocation_tokens,omitempty"`
}

// UnsupportedError names what an adapter uses that llama.cpp has no place for.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return e.What }

func unsupported(format string, args ...any) error {
	return &UnsupportedError{What: fmt.Sprintf(format, args...)}
}

// ReadConfig reads the adapter_config.json at path and refuses, as
// *UnsupportedError, what a GGUF adapter cannot say.
func ReadConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the adapter's settings: %w", err)
	}
	c := &Config{Bias: "none"}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c *Config) check() error {
	switch {
	case c.PeftType != "LORA":
		return unsupported("peft_type is %q, only LORA can be imported", c.PeftType)
	case c.DoRA:
		return unsupported("use_dora: a DoRA adapter also rescales each row, which llama.cpp does not apply")
	case c.Bias != "none" && c.Bias != "":
		return unsupported("bias is %q: trained biases have no place in a GGUF adapter", c.Bias)
	case c.LoRABias:
		return unsupported("lora_bias: a bias of B has no place in a GGUF adapter")
	case len(c.SaveModules) > 0:
		return unsupported("modules_to_save: %s are whole trained modules, which are no low-rank adapter", strings.Join(c.SaveModules, ", "))
	case c.FanInFanOut:
		return unsupported("fan_in_fan_out: the base stores its weights transposed, as no GGUF architecture here does")
	case c.QALoRA:
		return unsupported("use_qalora: QALoRA pools its input, which llama.cpp does not apply")
	case len(c.Replication) > 0:
		return unsupported("layer_replication: the adapter is for a model with copied layers")
	case len(c.Parameters) > 0:
		return unsupported("target_parameters: adapters of single parameters, as of experts, are not supported")
	case c.TokenRows != nil:
		return unsupported("trainable_token_indices: trained rows of the embedding have no place in a GGUF adapter")
	case len(c.Invocation) > 0:
		return unsupported("alora_invocation_tokens: an activated adapter works on part of a text only")
	}
	return c.checkNumbers()
}

// changesBase are the ways to start an adapter that alter the base's weights
// too, so that the adapter fits no unaltered base.
var changesBase = []string{"pissa", "olora", "loftq", "corda", "lora_ga"}

func (c *Config) checkNumbers() error {
	if init, ok := c.Init.(string); ok {
		for _, name := range changesBase {
			if strings.HasPrefix(strings.ToLower(init), name) {
				return unsupported("init_lora_weights is %q, which changes the base's weights too; have PEFT convert the adapter to a plain one (path_initial_model_for_weight_conversion)", init)
			}
		}
	}
	if c.Rank < 1 {
		return fmt.Errorf("r is %d, want at least 1", c.Rank)
	}
	alphas := []float64{c.Alpha}
	for _, alpha := range c.AlphaPattern {
		alphas = append(alphas, alpha)
	}
	for _, alpha := range alphas {
		if !(alpha > 0) || math.IsInf(alpha, 0) {
			return fmt.Errorf("lora_alpha is %g, want a positive number", alpha)
		}
	}
	return nil
}

// rank is what the settings say of a module.
func (c *Config) rank(module string) (int, error) { return fromPattern(c.RankPattern, module, c.Rank) }

// scale is the factor of B·A that PEFT applies to a module of rank r.
func (c *Config) scale(module string, r int) (float64, error) {
	alpha, err := fromPattern(c.AlphaPattern, module, c.Alpha)
	if c.RSLoRA {
		return alpha / math.Sqrt(float64(r)), err
	}
	return alpha / float64(r), err
}

// fromPattern finds the value of the key, a regular expression, that matches
// the end of a module's name, as PEFT does. Where several match with different
// values, their order in the file would decide, which JSON does not keep here.
func fromPattern[T comparable](patterns map[string]T, module string, fallback T) (T, error) {
	var keys []string
	for key := range patterns {
		re, err := regexp.Compile(`^(?:(?:.*\.)?(?:` + key + `))$`)
		if err != nil {
			return fallback, unsupported("the pattern %q: %v", key, err)
		}
		if re.MatchString(module) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys[min(1, len(keys)):] {
		if patterns[key] != patterns[keys[0]] {
			return fallback, unsupported("%s: the patterns %q and %q say different things of it", module, keys[0], key)
		}
	}
	if len(keys) > 0 {
		return patterns[keys[0]], nil
	}
	return fallback, nil
}
