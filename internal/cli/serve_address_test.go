package cli

import "testing"

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
