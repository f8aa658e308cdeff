package cli_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// server is a qlora serve that a script has started.
type server struct {
	cmd     *exec.Cmd
	address string
	out     *bufio.Reader
}

type serverKey struct{}

// TestServeScripts runs testdata/serve/*.txtar, with the models of
// TestInferenceScripts. Beside the usual commands there are
//
//	serving ARGS...            start qlora serve on a free port and wait until it listens
//	fetch STATUS PATH TEXT     get PATH, or post the file after it; the answer must hold TEXT
//	fetch STATUS PATH TEXT FILE [HEADER=VALUE]
//	crash                      end the engine's process as a fault would
//	ending SIGNAL CODE         end the server by a signal, and require its exit code
func TestServeScripts(t *testing.T) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // else the server inherits that nohup ignores it
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
	testscript.Run(t, testscript.Params{
		Dir: "testdata/serve",
		Setup: func(env *testscript.Env) error {
			s := &server{}
			env.Values[serverKey{}] = s
			env.Defer(func() {
				if s.cmd != nil && s.cmd.ProcessState == nil {
					_ = s.cmd.Process.Kill()
				}
			})
			return writeModels(t, env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": runForCode, "serving": startServing, "fetch": fetch, "crash": crash, "ending": endServing,
		},
	})
}

func serverOf(ts *testscript.TestScript) *server { return ts.Value(serverKey{}).(*server) }

func startServing(ts *testscript.TestScript, _ bool, args []string) {
	s := serverOf(ts)
	path, err := exec.LookPath(filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "qlora"))
	ts.Check(err)
	s.cmd = exec.Command(path, append([]string{"serve", "--port", "0", "--json", "-t", "1", "--device", "cpu"}, args...)...)
	s.cmd.Dir = ts.MkAbs(".")
	s.cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"), "QLORA_API_KEY="+ts.Getenv("QLORA_API_KEY"))
	if ts.Getenv("QLORA_API_KEY") == "" {
		s.cmd.Env = s.cmd.Env[:len(s.cmd.Env)-1]
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	s.out = bufio.NewReader(out)
	line, err := s.out.ReadBytes('\n')
	ts.Check(err)
	var event struct {
		Type    string `json:"message_type"`
		Address string `json:"address"`
	}
	ts.Check(json.Unmarshal(line, &event))
	if event.Type != "listening" {
		ts.Fatalf("the first event is %s", line)
	}
	s.address = event.Address
}

func fetch(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: fetch STATUS PATH TEXT [FILE [HEADER=VALUE]]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	var status int
	var body string
	for range 400 { // an engine that is started again takes its time
		status, body = fetchOnce(ts, args[1:])
		if status == want || status != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	if status != want || !strings.Contains(body, args[2]) {
		ts.Fatalf("status %d: %s", status, body)
	}
}

func fetchOnce(ts *testscript.TestScript, args []string) (int, string) {
	method, body := http.MethodGet, io.Reader(nil)
	if len(args) > 2 && args[2] != "-" {
		method, body = http.MethodPost, strings.NewReader(ts.ReadFile(args[2]))
	}
	r, err := http.NewRequest(method, serverOf(ts).address+args[0], body)
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	if len(args) > 3 {
		name, value, _ := strings.Cut(args[3], "=")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	return response.StatusCode, string(text)
}

// crash sends SIGKILL to the children of the server.
func crash(ts *testscript.TestScript, _ bool, _ []string) {
	pid := strconv.Itoa(serverOf(ts).cmd.Process.Pid)
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	ts.Check(err)
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		ts.Check(err)
		for _, field := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(field)
			ts.Check(err)
			ts.Check(syscall.Kill(child, syscall.SIGKILL))
			return
		}
	}
	ts.Fatalf("the server has no child")
}

func endServing(ts *testscript.TestScript, _ bool, args []string) {
	s := serverOf(ts)
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	ts.Check(s.cmd.Process.Signal(signals[args[0]]))
	rest, err := io.ReadAll(s.out)
	ts.Check(err)
	if err := s.cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("wait: %v", err)
		}
	}
	if got := strconv.Itoa(s.cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("exit code %s, want %s", got, args[1])
	}
	if !strings.Contains(string(rest), `"message_type":"summary"`) {
		ts.Fatalf("the output ends with %q", rest)
	}
}
