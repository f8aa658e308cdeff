package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

const runLong = `Run generates text with a model, with adapters applied when --lora names some.
The prompt is put into the model's chat template when the model has one; --raw
continues it as it stands. A prompt of "-" is read from standard input. --fim
completes source code at the end of a line, from what stands before and after.`

const runExample = `  qlora run -m model.gguf "What is a goroutine?"
  qlora run -m base.gguf --lora outputs/mine/adapter.gguf "hello"
  qlora run -m base.gguf --lora a.gguf:0.5,b.gguf --temp 0 --raw "func main() {"
  qlora run -m coder.gguf --fim main.go:12 -n 64
  git diff | qlora run -m model.gguf --system-prompt "Write a commit title." -`

type runOptions struct {
	inferenceOptions
	raw     bool
	system  string
	fim     string
	predict int
	temp    float32
	topK    int
	topP    float32
	minP    float32
	penalty float32
	seed    uint32
	seeded  bool
}

func newRunCmd(s *ui.Streams) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:     "run -m model.gguf [flags] <prompt>",
		Short:   "generate text with a model and its adapters",
		Long:    runLong + exitStatus(ui.ExitInvalid, ui.ExitDevice, ui.ExitInterrupted),
		Example: runExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.seeded = cmd.Flags().Changed("seed")
			if err := o.check(args); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), args, s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *runOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	o.inferenceOptions.addFlags(flags)
	flags.IntVarP(&o.predict, "predict", "n", 256, "most tokens to generate (0: until the context is full)")
	flags.BoolVar(&o.raw, "raw", false, "continue the prompt as it stands, without the chat template")
	flags.StringVar(&o.system, "system-prompt", "", "system message before the prompt")
	flags.StringVar(&o.fim, "fim", "", "complete FILE:LINE at the end of that line, from what surrounds it")
	flags.Float32Var(&o.temp, "temp", 0.8, "temperature; 0 always takes the most likely token")
	flags.IntVar(&o.topK, "top-k", 40, "draw from the k most likely tokens (0: all)")
	flags.Float32Var(&o.topP, "top-p", 0.95, "draw from the most likely tokens up to this probability (1: all)")
	flags.Float32Var(&o.minP, "min-p", 0.05, "drop tokens less likely than this share of the most likely (0: none)")
	flags.Float32Var(&o.penalty, "repeat-penalty", 1, "divide the logits of recent tokens by this (1: no penalty)")
	flags.Uint32VarP(&o.seed, "seed", "s", 0, "seed of the draw (default: another each time, told in the summary)")
}

func (o *runOptions) check(args []string) error {
	switch {
	case o.model == "":
		return errors.New("no model given: name a GGUF file with -m")
	case o.fim == "" && len(args) == 0:
		return errors.New(`no prompt given: write it as the last argument, "-" for standard input, or use --fim`)
	case o.fim == "" && args[0] == "":
		return errors.New("the prompt is empty")
	case o.fim != "" && len(args) > 0:
		return errors.New("--fim takes its prompt from the file; leave the other prompt out")
	case o.predict < 0:
		return fmt.Errorf("--predict %d is negative", o.predict)
	case o.ctx < 0:
		return fmt.Errorf("--ctx-size %d is negative", o.ctx)
	case o.temp < 0:
		return fmt.Errorf("--temp %g is negative; 0 always takes the most likely token", o.temp)
	case o.topK < 0:
		return fmt.Errorf("--top-k %d is negative; 0 draws from all tokens", o.topK)
	case o.topP < 0 || o.topP > 1 || o.minP < 0 || o.minP > 1:
		return errors.New("--top-p and --min-p are probabilities, between 0 and 1")
	case o.penalty < 0:
		return fmt.Errorf("--repeat-penalty %g is negative; 1 is none", o.penalty)
	}
	return nil
}

func (o *runOptions) run(ctx context.Context, args []string, s *ui.Streams) (err error) {
	if !o.seeded {
		o.seed = rand.Uint32()
	}
	var fim fimPrompt
	if o.fim != "" {
		if fim, err = readFIM(o.fim); err != nil {
			return err
		}
	}
	sess, err := o.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sess.close()) }()
	sess.warnContext(s)
	c, err := sess.newContext()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	prompt, err := o.prompt(args, fim, c, s)
	if err != nil {
		return err
	}
	return o.generate(ctx, c, prompt, s)
}

// prompt returns the tokens to continue.
func (o *runOptions) prompt(args []string, fim fimPrompt, c *llama.Context, s *ui.Streams) ([]int32, error) {
	if o.fim != "" {
		return fim.tokens(c, o.predict, s)
	}
	text := args[0]
	if text == "-" {
		input, err := io.ReadAll(s.In)
		if err != nil {
			return nil, fmt.Errorf("read the prompt from standard input: %w", err)
		}
		text = string(input)
	}
	if text == "" {
		return nil, ui.Fail(ui.ExitUsage, errors.New("the prompt is empty"), "standard input held nothing")
	}
	m := c.Model()
	if !o.raw && m.ChatTemplate() != "" {
		rendered, err := renderChat(m, o.system, text)
		if err != nil {
			return nil, ui.Fail(ui.ExitInvalid, err, "use --raw to continue the prompt without the template")
		}
		text = rendered
	} else if o.system != "" {
		text = o.system + "\n\n" + text
	}
	tokens, err := m.Vocab().EncodePrompt(text)
	if err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	if len(tokens) == 0 {
		return nil, ui.Fail(ui.ExitUsage, errors.New("the prompt is empty"))
	}
	return tokens, nil
}

// tokenEvent is one piece of the answer as it comes.
type tokenEvent struct {
	Text string `json:"text"`
}

// runSummary ends the JSON output of run.
type runSummary struct {
	Model                 string           `json:"model"`
	LoRA                  []string         `json:"lora,omitempty"`
	Text                  string           `json:"text"`
	Stop                  llama.StopReason `json:"stop"`
	Seed                  uint32           `json:"seed"`
	PromptTokens          int              `json:"prompt_tokens"`
	GeneratedTokens       int              `json:"generated_tokens"`
	PromptTokensPerSecond float64          `json:"prompt_tokens_per_second"`
	TokensPerSecond       float64          `json:"tokens_per_second"`
}

func (o *runOptions) generate(ctx context.Context, c *llama.Context, prompt []int32, s *ui.Streams) error {
	sampler, err := llama.NewSampler(llama.SamplerOptions{
		Seed: o.seed, Temp: o.temp, TopK: o.topK, TopP: o.topP, MinP: o.minP, RepeatPenalty: o.penalty,
	})
	if err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	defer sampler.Close()
	var text strings.Builder
	stream := llama.NewTextStream(c.Model().Vocab())
	show := func(piece string) error {
		text.WriteString(piece)
		s.Printf("%s", piece)
		return s.Event("token", tokenEvent{Text: piece})
	}
	g, err := c.Generate(ctx, prompt, sampler, o.predict, func(token int32) error {
		if piece := stream.Add(token); piece != "" {
			return show(piece)
		}
		return nil
	})
	if rest := stream.Flush(); rest != "" {
		err = errors.Join(err, show(rest))
	}
	if !strings.HasSuffix(text.String(), "\n") {
		s.Printf("\n")
	}
	if err != nil {
		return modelError(err)
	}
	return o.finish(g, text.String(), s)
}

func (o *runOptions) finish(g llama.Generation, text string, s *ui.Streams) error {
	sum := runSummary{
		Model: o.model, LoRA: o.lora, Text: text, Stop: g.Reason, Seed: o.seed,
		PromptTokens: g.PromptTokens, GeneratedTokens: len(g.Tokens),
		PromptTokensPerSecond: rate(g.PromptTokens, g.PromptTime.Seconds()),
		TokensPerSecond:       rate(len(g.Tokens), g.Time.Seconds()),
	}
	if g.Reason == llama.StopContext {
		s.Warnf("stopped because the context is full; ask for a larger one with --ctx-size")
	}
	s.Infof("%d prompt tokens at %.1f/s, %d generated at %.1f/s, seed %d\n",
		sum.PromptTokens, sum.PromptTokensPerSecond, sum.GeneratedTokens, sum.TokensPerSecond, sum.Seed)
	return s.Event("summary", sum)
}

// rate is n a second, 0 when no time was measured.
func rate(n int, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}
