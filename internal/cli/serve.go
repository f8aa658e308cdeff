package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/serve"
	"github.com/qlora/qlora/internal/serve/child"
	"github.com/qlora/qlora/internal/serve/engine"
	"github.com/qlora/qlora/internal/serve/wire"
	"github.com/qlora/qlora/internal/ui"
)

const serveLong = `Serve answers OpenAI's API over HTTP: /v1/chat/completions with streams and
tools, /v1/completions with a suffix to fill in the middle, /v1/models; and
/health, Prometheus' /metrics, and a page to chat on at /. Each --lora is a model
of its own by its name, beside the base; they share the base's weights, and a
request chooses by "model". Requests are computed together, -np at a time.

The model runs in a process of its own, which is started again when it ends.
Only this machine can reach the server, unless --host says otherwise; then an
API key is needed, in QLORA_API_KEY or with --api-key-file.`

const serveExample = `  qlora serve -m model.gguf
  qlora serve -m base.gguf --lora mine=outputs/mine/adapter.gguf -np 8 -c 4096
  QLORA_API_KEY=secret qlora serve -m model.gguf --host 0.0.0.0 --port 8000
  curl localhost:8080/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"messages": [{"role": "user", "content": "hello"}]}'`

// serveOptions are the flags of serve.
type serveOptions struct {
	serveEngineOptions
	host         string
	port         int
	keyFile      string
	cors         []string
	template     string
	templateFile string
	queue        int
	maxBody      string
	timeout      time.Duration
	drain        time.Duration
	sampling     engine.Sampling
}

func newServeCmd(s *ui.Streams) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:     "serve -m model.gguf [--lora name=adapter.gguf] [flags]",
		Short:   "answer OpenAI's API with a model and its adapters",
		Long:    serveLong + exitStatus(ui.ExitInvalid, ui.ExitDevice),
		Example: serveExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *serveOptions) addFlags(flags *pflag.FlagSet) {
	o.serveEngineOptions.addFlags(flags)
	flags.StringVar(&o.host, "host", "127.0.0.1", "address to listen on; any but this machine's own needs an API key")
	flags.IntVar(&o.port, "port", 8080, "port to listen on (0: any that is free)")
	flags.StringVar(&o.keyFile, "api-key-file", "", "file with API keys, one a line (also: QLORA_API_KEY)")
	flags.StringSliceVar(&o.cors, "cors", nil, "origins whose pages may call, such as https://example.org; * for any")
	flags.StringVar(&o.template, "chat-template", "", "chat template instead of the model's: a name, a file or the text")
	flags.StringVar(&o.templateFile, "chat-template-file", "", "the same, always a file, as llama.cpp has it")
	flags.IntVar(&o.queue, "queue", 256, "requests that wait while all slots are busy; more get status 429")
	flags.StringVar(&o.maxBody, "max-body", "8MiB", "largest `size` of a request")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "longest time for an answer")
	flags.DurationVar(&o.drain, "drain", 30*time.Second, "time for answers under way when the server is asked to end")
	flags.Float32Var(&o.sampling.Temp, "temp", 0.8, "temperature where a request gives none")
	flags.IntVar(&o.sampling.TopK, "top-k", 40, "the same for top_k (0: all)")
	flags.Float32Var(&o.sampling.TopP, "top-p", 0.95, "the same for top_p (1: all)")
	flags.Float32Var(&o.sampling.MinP, "min-p", 0.05, "the same for min_p (0: none)")
	flags.Float32Var(&o.sampling.Repeat, "repeat-penalty", 1, "the same for repeat_penalty (1: none)")
}

func (o *serveOptions) check() error {
	if err := o.serveEngineOptions.check(); err != nil {
		return err
	}
	for _, origin := range o.cors {
		if !isOrigin(origin) {
			return fmt.Errorf("--cors %q is no origin: write scheme and host, such as https://example.org or http://localhost:3000, or * for any", origin)
		}
	}
	switch p := o.sampling; {
	case o.port < 0 || o.port > 65535:
		return fmt.Errorf("--port %d is not between 0 and 65535", o.port)
	case o.template != "" && o.templateFile != "":
		return errors.New("--chat-template and --chat-template-file exclude each other")
	case o.queue < 0:
		return fmt.Errorf("--queue %d is negative", o.queue)
	case o.timeout <= 0 || o.drain < 0:
		return errors.New("--timeout must be positive, --drain not negative")
	case p.Temp < 0 || p.TopK < 0 || p.TopP <= 0 || p.TopP > 1 || p.MinP < 0 || p.MinP > 1 || p.Repeat <= 0:
		return errors.New("--temp, --top-k and --min-p must not be negative, --top-p and --repeat-penalty must be positive, --top-p and --min-p at most 1")
	}
	return nil
}

// listening is printed once requests are answered.
type listening struct {
	Address string   `json:"address"`
	Models  []string `json:"models"`
	Slots   int      `json:"slots"`
	Context int      `json:"context"`
}

func (o *serveOptions) run(ctx context.Context, s *ui.Streams) error {
	site, err := o.site()
	if err != nil {
		return err
	}
	if err := o.checkFiles(s); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(o.host, strconv.Itoa(o.port)))
	if err != nil {
		return ui.Fail(ui.ExitFailure, fmt.Errorf("listen: %w", err), "choose another port with --port, or 0 for any that is free")
	}
	e, err := o.startEngine(ctx, s)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer e.Close()
	if err := o.tellListening(s, ln, e.Info(), site); err != nil {
		return errors.Join(err, ln.Close())
	}
	if err := serve.New(e, site).Listen(ctx, ln, o.drain); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return s.Event("summary", serveSummary{Restarts: e.Restarts()})
}

// serveSummary ends the JSON output of serve.
type serveSummary struct {
	Restarts int `json:"engine_restarts"`
}

// startEngine starts the process that computes and waits for its model.
func (o *serveOptions) startEngine(ctx context.Context, s *ui.Streams) (*child.Child, error) {
	args, err := o.engineArgs(zerolog.Ctx(ctx).GetLevel())
	if err != nil {
		return nil, err
	}
	e, err := child.New(ctx, child.Options{
		Start: func() (*child.Process, error) { return spawnEngine(args) },
		Log:   s.Warnf,
		Back:  func() { s.Infof("qlora: the engine is back\n") },
	})
	var load *wire.LoadError
	if errors.As(err, &load) {
		return nil, ui.Fail(load.Code, load, load.Hints...)
	}
	return e, err
}

// serveAddress is where clients of this machine reach the server.
func serveAddress(host string, port int) string {
	return "http://" + net.JoinHostPort(cmp.Or(host, "localhost"), strconv.Itoa(port)) // no host: every interface
}

func (o *serveOptions) tellListening(s *ui.Streams, ln net.Listener, info engine.Info, site serve.Options) error {
	models := append([]string{info.Model}, info.Adapters...)
	address := serveAddress(o.host, ln.Addr().(*net.TCPAddr).Port)
	s.Infof("qlora: %s at %s, %s of %d tokens; the interrupt key ends\n",
		english.WordSeries(models, "and"), address, english.Plural(info.Slots, "slot", ""), info.Ctx)
	if len(site.Keys) > 0 {
		s.Infof("qlora: requests need the API key; without TLS it can be read on the way, so put a proxy in front on networks you do not trust\n")
	}
	return s.Event("listening", listening{Address: address, Models: models, Slots: info.Slots, Context: info.Ctx})
}
