package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/monitor"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

// monitorPort is TensorBoard's: whoever has a tunnel to it keeps it.
const monitorPort = 6006

type monitorOptions struct {
	runsDir string
	host    string
	port    int
	key     string
	keyFile string
}

func (o *monitorOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.runsDir, "runs-dir", "runs", "`folder` that holds the runs")
	flags.StringVar(&o.host, "host", "127.0.0.1", "`address` to listen on; one that other machines reach needs a key")
	flags.IntVar(&o.port, "port", monitorPort, "port to listen on; if it is taken, the next that is free (0: any)")
	flags.StringVar(&o.key, "api-key", "", "`key` that clients must show (better: $"+keyEnv+" or a file, which no list of processes shows)")
	flags.StringVar(&o.keyFile, "api-key-file", "", "`file` that holds the key")
}

func newMonitorCmd(s *ui.Streams) *cobra.Command {
	var o monitorOptions
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "show runs in the browser, live",
		Long: `Monitor serves a page on this machine with the charts of all runs: loss,
evaluation, learning rate, gradient norm, speed, memory and GPUs, with the
settings of each run. It follows runs that are training and finds new ones.
Nothing is fetched from elsewhere: the page is in this binary.

Only this machine reaches it, unless --host names another address; then a key is
needed, which a browser asks for once. The traffic is not encrypted: on a network
that you do not trust, leave --host alone and use a tunnel such as
ssh -L 6006:localhost:6006. Ctrl-C ends it with exit status 0.` + exitStatus(ui.ExitInvalid),
		Example: `  qlora monitor
  qlora monitor --runs-dir ~/lab/runs --port 8080
  qlora monitor --host 0.0.0.0 --api-key-file ~/.qlora-key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.port < 0 || o.port > 65535 {
				return asUsage(cmd, fmt.Errorf("--port %d: give a number from 0 to 65535", o.port))
			}
			return runMonitor(cmd.Context(), o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// monitorSummary tells where the page is: once when it listens, once at the
// end.
type monitorSummary struct {
	URL     string `json:"url"`
	RunsDir string `json:"runs_dir"`
}

func runMonitor(ctx context.Context, o monitorOptions, s *ui.Streams) error {
	if err := checkRunsDir(o.runsDir); err != nil {
		return err
	}
	key, err := o.apiKey()
	if err != nil {
		return err
	}
	if key == "" && !monitor.Loopback(o.host) {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("--host %s lets other machines in, and there is no key", o.host),
			"set "+keyEnv+" or give --api-key-file",
			"or leave --host out and reach it through a tunnel: ssh -L 6006:localhost:6006 HOST")
	}
	l, err := monitor.Listen(o.host, o.port)
	if err != nil {
		return ui.Fail(ui.ExitFailure, err, "choose another --port or --host")
	}
	where := monitorSummary{URL: pageURL(l.Addr(), o.host), RunsDir: o.runsDir}
	if took := l.Addr().(*net.TCPAddr).Port; o.port != 0 && took != o.port {
		s.Infof("port %d is taken\n", o.port)
	}
	s.Printf("%s\n", where.URL)
	s.Infof("shows %s; Ctrl-C ends it\n", o.runsDir)
	tellWhetherEmpty(o.runsDir, s)
	if err := s.Event("listening", where); err != nil {
		return errors.Join(err, l.Close())
	}
	if err := monitor.New(monitor.Options{Root: o.runsDir, Key: key}).Serve(ctx, l); err != nil {
		return err
	}
	return s.Event("summary", where)
}

// tellWhetherEmpty does not end the command: the folder may be made, or made
// readable, while the page is open.
func tellWhetherEmpty(root string, s *ui.Streams) {
	switch _, err := runlog.Newest(root); {
	case errors.Is(err, runlog.ErrNoRuns):
		s.Infof("%s", noRunsText(root))
	case err != nil:
		s.Warnf("%v", err)
	}
}

// apiKey is the key from the flags or the environment, or empty.
func (o *monitorOptions) apiKey() (string, error) {
	switch {
	case o.key != "" && o.keyFile != "":
		return "", ui.Fail(ui.ExitUsage, errors.New("--api-key and --api-key-file exclude each other"),
			"leave --api-key out: a list of processes shows it")
	case o.key != "":
		return o.key, nil
	case o.keyFile == "":
		return environmentKey()
	}
	text, err := os.ReadFile(o.keyFile)
	if err != nil {
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("read the key: %w", err), "write the key into the file, on one line")
	}
	key := strings.TrimSpace(string(text))
	if key == "" || strings.ContainsAny(key, "\r\n") {
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("%s holds no key", o.keyFile), "write the key into the file, on one line")
	}
	return key, nil
}

// pageURL is what to type into a browser. An address that means all of them is
// no such thing; the machine's name is.
func pageURL(addr net.Addr, host string) string {
	tcp := addr.(*net.TCPAddr)
	if tcp.IP.IsUnspecified() {
		host = "localhost"
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(tcp.Port))
}
