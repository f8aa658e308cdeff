package monitor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tidwall/gjson"

	"github.com/qlora/qlora/internal/runlog"
)

// Metric is a figure that can be drawn, an index into metricNames.
type Metric int

// The figures of a row. GPU memory is what the run holds on all devices; load,
// power and temperature come from the devices: mean, sum and highest.
const (
	Loss Metric = iota
	EvalLoss
	LearningRate
	GradNorm
	TokensPerSecond
	GPUMemory
	GPUUtilisation
	RSS
	GPUPower
	GPUTemperature
	LossScale
	metricCount
)

// metricNames are those of metrics.jsonl; the figures of devices carry the name
// that they have there.
var metricNames = [metricCount]string{
	"loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_second",
	"vram_bytes", "gpu_util_percent", "rss_bytes", "gpu_power_watts", "gpu_temp_celsius", "loss_scale",
}

// metricNamed finds a metric by its name.
func metricNamed(name string) (Metric, bool) {
	for i, known := range metricNames {
		if known == name {
			return Metric(i), true
		}
	}
	return 0, false
}

// row is one line of metrics.jsonl. Figures that are absent or null are NaN.
type row struct {
	step, time, tokens float64 // time in Unix seconds
	epoch, total, eta  float64
	values             [metricCount]float64
}

func emptyRow() row {
	nan := math.NaN()
	r := row{step: nan, time: nan, tokens: nan, epoch: nan, total: nan, eta: nan}
	for i := range r.values {
		r.values[i] = nan
	}
	return r
}

// parseRow decodes a line of metrics.jsonl. It reads what runlog.Metrics reads,
// several times faster: a folder may hold gigabytes of lines.
func parseRow(line string) (row, error) {
	r := emptyRow()
	if !gjson.Valid(line) {
		return r, runlog.ErrNotJSON
	}
	object := gjson.Parse(line)
	if !object.IsObject() {
		return r, runlog.ErrNotReport
	}
	var err error
	object.ForEach(func(key, value gjson.Result) bool {
		err = r.set(key.Str, value)
		return err == nil
	})
	if err == nil && !(r.step >= 0 && r.step == math.Trunc(r.step)) {
		err = runlog.ErrNotReport
	}
	return r, err
}

// set takes over one field. Unknown fields are left alone, so that a later
// version's lines can be read.
func (r *row) set(name string, value gjson.Result) error {
	switch name {
	case "step":
		return setNumber(&r.step, name, value)
	case "trained_tokens":
		return setNumber(&r.tokens, name, value)
	case "epoch":
		return setNumber(&r.epoch, name, value)
	case "total_steps":
		return setNumber(&r.total, name, value)
	case "eta_seconds":
		return setNumber(&r.eta, name, value)
	case "time":
		return r.setTime(value)
	case "gpus":
		return r.setGPUs(value)
	}
	metric, known := metricNamed(name)
	if !known {
		return nil
	}
	number := math.NaN()
	if err := setNumber(&number, name, value); err != nil {
		return err
	}
	if number == 0 && metric == GPUMemory {
		return nil // a run without a GPU reports 0
	}
	r.values[metric] = number
	return nil
}

// setNumber accepts a finite number or null.
func setNumber(p *float64, name string, value gjson.Result) error {
	switch {
	case value.Type == gjson.Null:
		return nil
	case value.Type != gjson.Number:
		return fmt.Errorf("%s is not a number", name)
	case !math.IsInf(value.Num, 0):
		*p = value.Num
	}
	return nil
}

func (r *row) setTime(value gjson.Result) error {
	if value.Type == gjson.Null {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, value.Str)
	if err != nil {
		return errors.New("time is not in the form of RFC 3339")
	}
	if t.Year() > 1 { // Go's zero time says that none was set
		r.time = float64(t.UnixMilli()) / 1e3
	}
	return nil
}

// setGPUs folds the devices of a run into one figure each.
func (r *row) setGPUs(value gjson.Result) (err error) {
	if value.Type == gjson.Null {
		return nil
	}
	if !value.IsArray() {
		return errors.New("gpus is not an array")
	}
	var load, power, temperature fold
	value.ForEach(func(_, device gjson.Result) bool {
		device.ForEach(func(key, figure gjson.Result) bool {
			switch key.Str {
			case metricNames[GPUUtilisation]:
				err = load.add(key.Str, figure)
			case metricNames[GPUPower]:
				err = power.add(key.Str, figure)
			case metricNames[GPUTemperature]:
				err = temperature.add(key.Str, figure)
			}
			return err == nil
		})
		return err == nil
	})
	if load.n > 0 {
		r.values[GPUUtilisation] = load.sum / load.n
	}
	if power.n > 0 {
		r.values[GPUPower] = power.sum
	}
	if temperature.n > 0 {
		r.values[GPUTemperature] = temperature.max
	}
	return err
}

// fold gathers one figure over devices; those that do not tell are left out.
type fold struct{ sum, n, max float64 }

func (f *fold) add(name string, value gjson.Result) error {
	v := math.NaN()
	if err := setNumber(&v, name, value); err != nil || math.IsNaN(v) {
		return err
	}
	if f.n == 0 || v > f.max {
		f.max = v
	}
	f.sum += v
	f.n++
	return nil
}
