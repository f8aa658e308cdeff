package monitor

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/runlog"
)

// raw sends text as it is and returns the status of the answer and its body, or
// 0 when the server hung up.
func raw(t *testing.T, served *httptest.Server, text string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", served.Listener.Addr().String())
	check(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, text)
	check(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	return response.StatusCode, string(body)
}

// TestOnlyNamesOfThisMachine is about pages elsewhere that make a browser take
// their own name for 127.0.0.1.
func TestOnlyNamesOfThisMachine(t *testing.T) {
	_, served := started(t, Options{Root: t.TempDir()})
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:6006": 200, "127.0.0.1": 200, "127.0.0.1:6006": 200, "127.8.9.1": 200, "[::1]:6006": 200, "[::1]": 200,
		"evil.example": 421, "evil.example:6006": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "192.168.0.1": 421,
		"0.0.0.0:6006": 421, "localhost:6006:6006": 421, "127.0.0.1@evil.example": 421, "": 421, "[::1": 421,
	} {
		for _, path := range []string{"/", "/api/runs", "/api/events", "/app.js"} {
			if want == 200 && path == "/api/events" {
				continue // has no end
			}
			got, _ := raw(t, served, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host))
			if got != want && !(want == 421 && got == 400) {
				t.Errorf("host %q, %s: status %d, want %d", host, path, got, want)
			}
		}
	}
}

// TestPathTricks asks for files that are no part of the page.
func TestPathTricks(t *testing.T) {
	root := t.TempDir()
	secret := filepath.Join(root, "secret.txt")
	write(t, secret, "do not show")
	check(t, makeRun(t, filepath.Join(root, "runs"), "one").Write(runlog.Metrics{Step: 1}))
	_, served := started(t, Options{Root: filepath.Join(root, "runs")})
	settled(t, served, "one")
	tricks := []string{
		"/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/....//secret.txt", "/./../secret.txt", "//secret.txt", "/" + secret, "/%2f" + secret,
		"/web/index.html", "/index.html/..", "/\\..\\secret.txt", "/%00", "/app.js%00.html", "/api/../../secret.txt", "/api", "/api/", "/api/none",
		"/one/metrics.jsonl", "/runs/one/metrics.jsonl", "/" + strings.Repeat("a/", 3000), "/%", "/%zz", "/.git/config", "/guard.go",
	}
	for _, run := range []string{"../secret.txt", "..", ".", "", "/", secret, "one/../one", "one/metrics.jsonl", "one\x00", "%2e%2e", "ONE", strings.Repeat("a", 9000)} {
		tricks = append(tricks, "/api/config?run="+url.QueryEscape(run))
	}
	for _, path := range tricks {
		status, body := raw(t, served, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if strings.Contains(body, "do not show") || status == 200 || status >= 500 {
			t.Errorf("%.60q: status %d, body %.60q", path, status, body)
		}
	}
	if left, err := os.ReadDir(filepath.Join(root, "runs")); err != nil || len(left) != 1 {
		t.Errorf("the folder has changed: %v, %v", left, err)
	}
}

func TestHostileRequests(t *testing.T) {
	_, served := started(t, Options{Root: t.TempDir()})
	for name, text := range map[string]string{
		"garbage":          "\x00\x01\x02\r\n\r\n",
		"no host":          "GET / HTTP/1.1\r\n\r\n",
		"two hosts":        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
		"post":             "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
		"delete":           "DELETE /api/runs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"trace":            "TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"connect":          "CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\nConnection: close\r\n\r\n",
		"proxy":            "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"login, no key":    "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nkey=x",
		"length and chunk": "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"bad length":       "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
		"large header":     "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
		"newline in path":  "GET /\r\nX: y HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"future version":   "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
	} {
		if status, body := raw(t, served, text); status != 0 && (status < 400 || status >= 500 && status != 501 && status != 505) {
			t.Errorf("%s: status %d, %.80q", name, status, body)
		}
	}
	if status, _ := get(t, served, "/"); status != http.StatusOK {
		t.Errorf("the server does not answer any more: %d", status)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	_, served := started(t, Options{Root: t.TempDir()})
	for _, path := range []string{"/", "/app.js", "/api/runs", "/none", "/api/series"} {
		response, err := http.Get(served.URL + path)
		check(t, err)
		response.Body.Close()
		h := response.Header
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cache-Control") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestKey(t *testing.T) {
	const key = "correct horse"
	_, served := started(t, Options{Root: t.TempDir(), Key: key})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path, bearer, cookie string) (*http.Response, string) {
		request, err := http.NewRequest(method, served.URL+path, nil)
		check(t, err)
		request.Host = "gpu-box.example" // with a key any name will do
		if bearer != "" {
			request.Header.Set("Authorization", bearer)
		}
		if cookie != "" {
			request.AddCookie(&http.Cookie{Name: keyCookie, Value: cookie})
		}
		response, err := client.Do(request)
		check(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		check(t, err)
		return response, string(body)
	}
	for _, bearer := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + key, key, "Bearer " + key + "x", "bearer\t" + key} {
		for _, path := range []string{"/api/runs", "/api/events", "/api/series", "/api/config", "/app.js", "/none"} {
			if response, _ := ask("GET", path, bearer, ""); response.StatusCode != http.StatusUnauthorized {
				t.Errorf("%q, %s: status %d", bearer, path, response.StatusCode)
			}
		}
	}
	for _, cookie := range []string{"x", key, strings.Repeat("0", 64)} {
		if response, _ := ask("GET", "/api/runs", "", cookie); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("cookie %q: status %d", cookie, response.StatusCode)
		}
	}
	if response, body := ask("GET", "/", "", ""); response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `action="/login"`) {
		t.Errorf("the page without a key: %d %s", response.StatusCode, body)
	}
	if response, _ := ask("GET", "/api/runs", "bearer "+key, ""); response.StatusCode != http.StatusOK {
		t.Errorf("the name of the scheme in small letters: %d", response.StatusCode)
	}
	if response, _ := ask("GET", "/api/runs", "Bearer "+key, ""); response.StatusCode != http.StatusOK {
		t.Errorf("with the key: status %d", response.StatusCode)
	}
	testLogin(t, served, client, key)
}

func testLogin(t *testing.T, served *httptest.Server, client *http.Client, key string) {
	t.Helper()
	wrong, err := client.PostForm(served.URL+"/login", url.Values{"key": {"wrong"}})
	check(t, err)
	wrong.Body.Close()
	if wrong.StatusCode != http.StatusForbidden || len(wrong.Cookies()) > 0 {
		t.Errorf("a wrong key: status %d, cookies %v", wrong.StatusCode, wrong.Cookies())
	}
	right, err := client.PostForm(served.URL+"/login", url.Values{"key": {key}})
	check(t, err)
	right.Body.Close()
	if right.StatusCode != http.StatusSeeOther || len(right.Cookies()) != 1 {
		t.Fatalf("the key: status %d, cookies %v", right.StatusCode, right.Cookies())
	}
	cookie := right.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || strings.Contains(cookie.Value, key) {
		t.Errorf("cookie %v", cookie)
	}
	request, err := http.NewRequest("GET", served.URL+"/api/runs", nil)
	check(t, err)
	request.AddCookie(cookie)
	response, err := client.Do(request)
	check(t, err)
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("with the cookie: status %d", response.StatusCode)
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1": true, "::1": true, "localhost": true, "0.0.0.0": false, "::": false, "192.168.1.5": false, "box": false, "": false} {
		if got := Loopback(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
