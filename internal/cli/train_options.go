package cli

import (
	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/train"
)

// loopOptions is the part of the settings that the loop takes.
func loopOptions(r config.Run) train.Options {
	return train.Options{
		Seed: r.Seed, Accum: r.GradAccum, Epochs: r.EpochLimit(), MaxSteps: r.MaxSteps,
		Schedule:    train.Schedule{Kind: r.Schedule, Peak: r.LearningRate, Floor: r.LRMin, Warmup: r.WarmupSteps},
		WarmupShare: r.WarmupRatio, DecayShare: r.DecayRatio, Clip: r.Clip,
		EvalEvery: r.EvalEvery, SaveEvery: r.SaveEvery, LogEvery: r.LogEvery,
		Patience: r.Patience, KeepLast: r.KeepLast,
	}
}

func loraConfig(r config.Run) lora.Config {
	return lora.Config{Rank: r.Rank, Alpha: r.Alpha, Dropout: r.Dropout, RSLoRA: r.RSLoRA, Target: r.Target}
}

// engineOptions is the part of the settings that the engine takes, for rows of
// length tokens on a device.
func engineOptions(r config.Run, d computeDevice, length int) engine.Options {
	o := engine.Options{
		Method: r.Method, Rows: r.MicroBatchSize, Length: length, Threads: r.Threads, Recompute: r.Recompute,
		Beta1: r.Beta1, Beta2: r.Beta2, Eps: r.Eps, WeightDecay: r.WeightDecay, Seed: r.Seed, From: r.From,
		Module: d.module, Device: d.gpu.Index, Activation: precisionTypes[r.Precision], Resident: r.NGPULayers,
	}
	if r.Method == engine.MethodQLoRA {
		o.LoRA = loraConfig(r)
	}
	return o
}
