package cli

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

// TestMonitorServesUntilItIsEnded takes the address from what is printed, as a
// person would.
func TestMonitorServesUntilItIsEnded(t *testing.T) {
	s, _, _ := ui.Test()
	out, printed := io.Pipe()
	s.Out = printed
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- runMonitor(ctx, monitorOptions{runsDir: t.TempDir(), host: "127.0.0.1", key: "secret"}, s)
		printed.Close()
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url = strings.TrimSpace(url)
	if status := statusOf(t, url+"/api/runs", ""); status != http.StatusUnauthorized {
		t.Errorf("%s without the key: status %d", url, status)
	}
	if status := statusOf(t, url+"/api/runs", "secret"); status != http.StatusOK {
		t.Errorf("%s with the key: status %d", url, status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Ctrl-C is no error: %v", err)
	}
}

func TestMonitorTellsOfAFolderWithoutRuns(t *testing.T) {
	s, _, errOut := ui.Test()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for root, want := range map[string]string{"nothing": noRunsText("nothing"), "monitor.go/x": "warning: list runs: "} {
		errOut.Reset()
		if err := runMonitor(ctx, monitorOptions{runsDir: root, host: "127.0.0.1"}, s); err != nil {
			t.Fatal(err)
		}
		if text := errOut.String(); !strings.Contains(text, want) {
			t.Errorf("%s: %s", root, text)
		}
	}
}

func statusOf(t *testing.T, url, key string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestPageURL(t *testing.T) {
	at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 6006} }
	for _, c := range []struct{ ip, host, want string }{
		{"127.0.0.1", "127.0.0.1", "http://127.0.0.1:6006"},
		{"127.0.0.1", "localhost", "http://localhost:6006"},
		{"::1", "::1", "http://[::1]:6006"},
	} {
		if got := pageURL(at(c.ip), c.host); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if got := pageURL(at("0.0.0.0"), "0.0.0.0"); strings.Contains(got, "0.0.0.0") {
		t.Errorf("%s is no address to type", got)
	}
}
