package cli

import (
	"slices"
	"testing"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
)

func TestServeAddress(t *testing.T) {
	for host, want := range map[string]string{
		"127.0.0.1": "http://127.0.0.1:8080", "::1": "http://[::1]:8080", "0.0.0.0": "http://0.0.0.0:8080",
		"": "http://localhost:8080",
	} {
		if got := serveAddress(host, 8080); got != want {
			t.Errorf("--host %q: got %s, want %s", host, got, want)
		}
	}
}

// TestEngineArgsKeepAdapters gives the engine's command what serve was given.
func TestEngineArgsKeepAdapters(t *testing.T) {
	for _, lora := range []string{
		"outputs/mine/adapter.gguf", "mine=outputs/mine/adapter.gguf:0.5", "outputs/lr=1e-4/adapter.gguf", "./x=1.gguf:2", "y=x=1.gguf",
		"a:b.gguf", "a:0.5=b,c.gguf", `"q"=b.gguf`, "a=a/adapter.gguf",
	} {
		o := parsedEngine(t, "--model", "m.gguf", "--lora", csvField(lora))
		want, err := o.named()
		if err != nil {
			t.Fatal(err)
		}
		args, err := o.engineArgs(zerolog.WarnLevel)
		if err != nil {
			t.Fatal(err)
		}
		engine := parsedEngine(t, args[1:]...)
		if got, err := engine.named(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: the engine reads %+v, %v, want %+v", lora, got, err, want)
		}
	}
}

func parsedEngine(t *testing.T, args ...string) (o serveEngineOptions) {
	t.Helper()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o
}
