package config

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// EnvPrefix begins the environment variables of a run's settings: the setting
// learning-rate is QLORA_LEARNING_RATE.
const EnvPrefix = "QLORA_"

// Run is every setting that decides what a training run computes and where its
// results go. The yaml names are also those of the flags. Each setting comes
// from the defaults, the file given with --config, the environment or a flag,
// the later ones winning.
type Run struct {
	Name   string `yaml:"name"`
	Output string `yaml:"output"` // folder of the adapter and the checkpoints

	Model        string   `yaml:"model"`
	Data         []string `yaml:"data"` // FILE or FILE:WEIGHT
	EvalData     []string `yaml:"eval-data"`
	CtxSize      int      `yaml:"ctx-size"` // tokens of a row
	Pack         bool     `yaml:"pack"`
	Loss         string   `yaml:"loss"`
	OverLength   string   `yaml:"over-length"`
	ChatTemplate string   `yaml:"chat-template"`
	TemplateDate string   `yaml:"template-date"` // YYYY-MM-DD, what templates that print the date print
	SkipInvalid  bool     `yaml:"skip-invalid"`

	Method    string  `yaml:"method"`
	Rank      int     `yaml:"rank"`
	Alpha     float64 `yaml:"alpha"`
	Dropout   float64 `yaml:"dropout"`
	RSLoRA    bool    `yaml:"rslora"`
	Target    string  `yaml:"target"`
	From      string  `yaml:"from"` // adapter to continue from
	Recompute string  `yaml:"recompute"`

	MicroBatchSize int `yaml:"micro-batch-size"` // rows computed at a time
	GradAccum      int `yaml:"grad-accum"`       // micro-batches of a step

	LearningRate float64 `yaml:"learning-rate"`
	LRMin        float64 `yaml:"lr-min"`
	Schedule     string  `yaml:"schedule"`
	WarmupSteps  int     `yaml:"warmup-steps"`
	WarmupRatio  float64 `yaml:"warmup-ratio"` // used when warmup-steps is 0
	DecayRatio   float64 `yaml:"decay-ratio"`  // of all steps, for schedule wsd
	WeightDecay  float64 `yaml:"weight-decay"`
	Beta1        float64 `yaml:"beta1"`
	Beta2        float64 `yaml:"beta2"`
	Eps          float64 `yaml:"eps"`
	Clip         float64 `yaml:"clip"` // largest gradient norm, 0 for none

	Epochs    int `yaml:"epochs"`    // 0: one, or as many as max-steps needs
	MaxSteps  int `yaml:"max-steps"` // 0: no limit
	EvalEvery int `yaml:"eval-every"`
	SaveEvery int `yaml:"save-every"`
	LogEvery  int `yaml:"log-every"`
	KeepLast  int `yaml:"keep-last"`
	Patience  int `yaml:"patience"`

	SamplePrompts []string `yaml:"sample-prompts"` // continued at every checkpoint, for the eye

	Seed uint64 `yaml:"seed"`

	Threads    int    `yaml:"threads"`      // 0: one per core
	Device     string `yaml:"device"`       // auto, cpu, cuda or cuda:N
	NGPULayers int    `yaml:"n-gpu-layers"` // blocks whose weights stay on the device; -1: as many as fit
	VRAMBudget string `yaml:"vram-budget"`  // memory of the device that the run may take: see ParseBudget
	Precision  string `yaml:"precision"`    // of activations: auto, bf16, f16 or f32; in a resolved run not auto
}

// DefaultRun is the settings of a run about which nothing was said.
func DefaultRun() Run {
	return Run{
		CtxSize: 2048, Pack: true, Loss: "assistant", OverLength: "truncate",
		Method: "qlora", Rank: 16, Alpha: 32, Target: "all", Recompute: "auto",
		MicroBatchSize: 1, GradAccum: 4,
		LearningRate: 2e-4, Schedule: "cosine", WarmupRatio: 0.03, DecayRatio: 0.1,
		WeightDecay: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Clip: 1,
		EvalEvery: 100, SaveEvery: 100, LogEvery: 10, KeepLast: 2, Seed: 42,
		Device: DeviceAuto, NGPULayers: -1, Precision: PrecisionAuto,
	}
}

// Setting is a value given for a key; a list takes all values, anything else
// the last.
type Setting struct {
	Key    string
	Values []string
}

// ResolveRun lays the sources over each other: defaults, the YAML file at path
// if that is not empty, the environment, flags.
func ResolveRun(path string, getenv func(key string) (string, bool), flags []Setting) (Run, error) {
	r := DefaultRun()
	if path != "" {
		if err := ReadFile(path, &r); err != nil {
			return r, err
		}
	}
	for _, key := range RunKeys() {
		variable := EnvName(key)
		value, ok := getenv(variable)
		if !ok || value == "" {
			continue
		}
		if err := r.Set(key, strings.Split(value, ",")...); err != nil {
			return r, fmt.Errorf("environment variable %s: %w", variable, err)
		}
	}
	for _, f := range flags {
		if err := r.Set(f.Key, f.Values...); err != nil {
			return r, fmt.Errorf("--%s: %w", f.Key, err)
		}
	}
	return r, nil
}

// EpochLimit is the number of epochs after which the run ends, 0 for none: one
// unless the settings say otherwise or count steps.
func (r Run) EpochLimit() int {
	if r.Epochs == 0 && r.MaxSteps == 0 {
		return 1
	}
	return r.Epochs
}

// OSEnv is the getenv of this process.
func OSEnv(key string) (string, bool) { return os.LookupEnv(key) }

// EnvName is the variable of a key.
func EnvName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// RunKeys lists the keys in the order of the fields.
func RunKeys() []string {
	t := reflect.TypeFor[Run]()
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

// field finds the field of a key.
func (r *Run) field(key string) (reflect.Value, bool) {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// Set gives a key its value from text, as flags and the environment hold it.
func (r *Run) Set(key string, values ...string) error {
	field, ok := r.field(key)
	if !ok {
		return fmt.Errorf("unknown setting %q%s", key, didYouMean(key, RunKeys()))
	}
	if len(values) == 0 {
		return fmt.Errorf("no value for %s", key)
	}
	if field.Kind() == reflect.Slice {
		field.Set(reflect.ValueOf(append([]string{}, values...)))
		return nil
	}
	return setScalar(field, values[len(values)-1])
}

func setScalar(field reflect.Value, text string) error {
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		field.SetBool(b)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 0)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		field.SetInt(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0 to 2^64-1", text)
		}
		field.SetUint(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		field.SetFloat(x)
	default:
		return fmt.Errorf("settings of kind %s have no text form", field.Kind())
	}
	return nil
}

// Text is the value of a key as Set would take it, a list joined by commas.
func (r Run) Text(key string) string {
	field, ok := r.field(key)
	if !ok {
		return ""
	}
	if list, ok := field.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(field.Interface())
}

// Kind is the type of a key's value as help names it: string, bool, int, float
// or strings.
func (r Run) Kind(key string) string {
	field, ok := r.field(key)
	switch {
	case !ok:
		return ""
	case field.Kind() == reflect.Slice:
		return "strings"
	case field.Kind() == reflect.Uint64:
		return "int"
	case field.Kind() == reflect.Float64:
		return "float"
	}
	return field.Kind().String()
}

// YAML is the resolved settings as a file that --config takes.
func (r Run) YAML() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Repeat this run with: qlora train --config FILE --name OTHER\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("write settings: %w", err)
	}
	return b.Bytes(), e.Close()
}
