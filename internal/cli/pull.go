package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/hub"
	"github.com/qlora/qlora/internal/ui"
)

const pullLong = `Pull fetches a GGUF model from Hugging Face or another hub that speaks its
protocol, over several connections, and holds it to the hub's hash. What a
crash, Ctrl-C or a lost line left behind, the same command goes on with. All
parts of a split model are fetched. The path of the file, of the first part
when there are several, goes to standard output.

Without a quantisation the one model of the repository is taken, else Q4_K_M,
Q4_0 or Q8_0, whichever comes first. After the colon may also stand a file of
the repository. Private and gated repositories need a token in HF_TOKEN, in the
environment or in a file .env. It is sent to the hub alone.`

const pullExample = `  # what there is, and one of it
  qlora pull hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF --list
  qlora pull hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q8_0

  # a mirror, a fixed version, another folder
  qlora pull hf:owner/name:Q4_K_M --endpoint https://mirror.example --revision v1.0 --out /models
  qlora pull hf:owner/name:model-q4_0.gguf -o base.gguf --json`

// Variables of Hugging Face's own programs.
const (
	tokenVar    = "HF_TOKEN"
	endpointVar = "HF_ENDPOINT"
)

type pullOptions struct {
	ref         hub.Ref
	endpoint    string
	revision    string
	out         string
	connections int
	list, force bool
}

func newPullCmd(s *ui.Streams) *cobra.Command {
	var o pullOptions
	cmd := &cobra.Command{
		Use:     "pull hf:<owner>/<name>[:<quant>]",
		Short:   "fetch a GGUF model from a hub",
		Long:    pullLong + exitStatus(ui.ExitInvalid, ui.ExitInterrupted),
		Example: pullExample,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.ref, err = hub.ParseRef(args[0]); err == nil {
				err = o.check()
			}
			if err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *pullOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.BoolVar(&o.list, "list", false, "list the models of the repository instead")
	flags.StringVarP(&o.out, "out", "o", filepath.Join("data", "models"), "`folder` for the files, or the name of one file that ends in .gguf")
	flags.StringVar(&o.revision, "revision", "main", "branch, tag or commit")
	flags.StringVar(&o.endpoint, "endpoint", "", "address of the hub (default: HF_ENDPOINT, else "+hub.DefaultEndpoint+")")
	flags.IntVar(&o.connections, "connections", 8, "connections at a time")
	flags.BoolVar(&o.force, "force", false, "replace a file of that name with another content")
}

func (o *pullOptions) check() error {
	switch {
	case o.connections < 1 || o.connections > 64:
		return fmt.Errorf("--connections %d: it must be from 1 to 64", o.connections)
	case o.revision == "":
		return errors.New("--revision is empty")
	case o.out == "":
		return errors.New("--out is empty")
	}
	if o.endpoint == "" {
		o.endpoint = os.Getenv(endpointVar)
	}
	return nil
}

func (o *pullOptions) run(ctx context.Context, s *ui.Streams) error {
	p := &puller{o: o, s: s, began: time.Now()}
	var err error
	p.client, err = hub.New(hub.Options{
		Endpoint: o.endpoint, Token: os.Getenv(tokenVar), Connections: o.connections,
		UserAgent: "qlora/" + readVersion().Version, Note: p.note,
	})
	if err != nil {
		return ui.Fail(ui.ExitUsage, err, "look at --endpoint, HF_ENDPOINT and HF_TOKEN")
	}
	if why := p.client.TokenStays(); why != "" {
		s.Warnf("HF_TOKEN is not sent: %s", why)
	}
	files, err := p.client.List(ctx, o.ref.Repo, o.revision)
	if err != nil {
		return p.failed(err)
	}
	if o.list {
		return p.list(files)
	}
	model, err := hub.Choose(files, o.ref.Want)
	if err != nil {
		return p.failed(err)
	}
	if o.ref.Want == "" {
		s.Infof("%s\n", strings.TrimSpace(model.Name+" "+model.Quant))
	}
	if err := p.plan(ctx, model); err != nil {
		return p.failed(err)
	}
	return p.fetch(ctx)
}

// place is where a file of the model goes.
func (o *pullOptions) place(f hub.File, alone bool) (string, error) {
	name, err := hub.LocalName(f)
	if err != nil {
		return "", ui.Fail(ui.ExitInvalid, err)
	}
	if !strings.EqualFold(filepath.Ext(o.out), ".gguf") || isFolder(o.out) {
		return filepath.Join(o.out, name), nil
	}
	if !alone {
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("the model is in several parts, which keep their names: --out %s is one file", o.out),
			"name a folder with --out")
	}
	return o.out, nil
}
