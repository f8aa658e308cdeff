package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// sampleTokens is how long the answer to a prompt of --sample-prompts may get.
const sampleTokens = 64

// sample answers the prompts of a run with the checkpoint that was saved, by
// 'qlora run' on the CPU: the device is full of the training. It takes the most
// likely tokens, so that two checkpoints differ by what they learned. A prompt
// that fails is told and does not end the training.
func (j *trainJob) sample(ctx context.Context, e train.Saved, rep *reporter) error {
	for _, prompt := range j.r.SamplePrompts {
		text, err := j.answer(ctx, e.Path, prompt)
		if ctx.Err() != nil {
			return nil // the loop ends by itself
		}
		if err != nil {
			rep.line("") // off the progress bar
			j.s.Warnf("no sample at step %d: %v", e.Step, err)
			rep.log.Warn().Err(err).Int("step", e.Step).Msg("no sample")
			continue
		}
		err = rep.run.WriteSample(runlog.Sample{Step: e.Step, Prompt: prompt, Text: text, Time: time.Now()})
		if err != nil {
			return err
		}
	}
	return nil
}

// answer runs the model with a checkpoint's adapter, or for method full the
// checkpoint's weights, which no command can run: that is an error.
func (j *trainJob) answer(ctx context.Context, checkpoint, prompt string) (string, error) {
	if j.r.Method != engine.MethodQLoRA {
		return "", errors.New("samples need --method qlora")
	}
	s, out, _ := ui.Test()
	args := []string{"run", "-m", j.r.Model, "--lora", filepath.Join(checkpoint, "adapter.gguf"), "--device", "cpu", "--temp", "0",
		"--predict", strconv.Itoa(sampleTokens), "--threads", strconv.Itoa(j.r.Threads), "--json", "--", prompt}
	code := execute(ctx, args, s)
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte{'\n'})
	var last struct {
		runSummary
		errorEvent
	}
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil {
		return "", fmt.Errorf("qlora run: exit status %d: read its answer: %w", code, err)
	}
	if code != ui.ExitOK {
		return "", fmt.Errorf("qlora run: %s", last.Error)
	}
	return last.Text, nil
}
