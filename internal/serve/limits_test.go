package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/serve"
	"github.com/qlora/qlora/internal/serve/engine"
)

// fakeEngine answers when it is told to.
type fakeEngine struct {
	*engine.Router
	mu       sync.Mutex
	started  []uint64
	cancel   chan uint64
	requests []engine.Request
}

const fakeTemplate = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"

func newFake(slots int) *fakeEngine {
	f := &fakeEngine{cancel: make(chan uint64, 64)}
	info := engine.Info{Model: "base", Adapters: []string{"one"}, Ctx: 64, Slots: slots, Template: fakeTemplate}
	f.Router = engine.NewRouter(info, func(c engine.Call) error {
		if c.Request == nil {
			f.cancel <- c.ID
			return nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.started = append(f.started, c.ID)
		f.requests = append(f.requests, *c.Request)
		return nil
	})
	return f
}

// wait returns the ids of the requests once there are n.
func (f *fakeEngine) wait(t *testing.T, n int) []uint64 {
	t.Helper()
	for range 2000 {
		f.mu.Lock()
		ids := append([]uint64(nil), f.started...)
		f.mu.Unlock()
		if len(ids) >= n {
			return ids
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("the engine was not asked %d times", n)
	return nil
}

func (f *fakeEngine) say(id uint64, text string) {
	f.Deliver([]engine.Item{{ID: id, Event: engine.Event{Text: text}}})
}

func (f *fakeEngine) finish(id uint64) {
	f.Deliver([]engine.Item{{ID: id, Event: engine.Event{Finish: &engine.Finish{Reason: "stop", Prompt: 3, Generated: 2}}}})
}

const hello = `{"messages":[{"role":"user","content":"hello"}]}`

// request sends one and returns the response; its body is closed with the test.
func request(t *testing.T, method, url, body string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestQueueIsBounded(t *testing.T) {
	f := newFake(1)
	o := defaults()
	o.Queue = 1
	url := start(t, f, o) + "/v1/chat/completions"
	codes := make(chan int, 2)
	for range 2 {
		go func() {
			response, err := http.Post(url, "application/json", strings.NewReader(hello))
			if err != nil {
				codes <- 0
				return
			}
			_ = response.Body.Close()
			codes <- response.StatusCode
		}()
	}
	ids := f.wait(t, 2)
	refused := request(t, "POST", url, hello)
	if refused.StatusCode != http.StatusTooManyRequests || refused.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", refused.StatusCode, refused.Header.Get("Retry-After"))
	}
	for _, id := range ids {
		f.finish(id)
	}
	for range 2 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("a queued request got %d", code)
		}
	}
	many := request(t, "POST", url, `{"n":3,"messages":[{"role":"user","content":"x"}]}`)
	if many.StatusCode != http.StatusBadRequest {
		t.Errorf("more choices than there will ever be room for: %d", many.StatusCode)
	}
}

func TestClientsThatGoAreCancelled(t *testing.T) {
	f := newFake(2)
	url := start(t, f, defaults()) + "/v1/chat/completions"
	for _, streaming := range []bool{false, true} {
		ctx, leave := context.WithCancel(t.Context())
		body := fmt.Sprintf(`{"stream":%t,"messages":[{"role":"user","content":"hello"}]}`, streaming)
		r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		gone := make(chan error, 1)
		go func() {
			response, err := http.DefaultClient.Do(r)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
			gone <- err
		}()
		n := 1
		if streaming {
			n = 2
		}
		ids := f.wait(t, n)
		f.say(ids[n-1], "beginning")
		leave()
		if err := <-gone; err == nil {
			t.Error("the client was not cut off")
		}
		select {
		case id := <-f.cancel:
			if id != ids[n-1] {
				t.Errorf("request %d was cancelled, not %d", id, ids[n-1])
			}
		case <-time.After(10 * time.Second):
			t.Errorf("streaming %t: the engine was not told", streaming)
		}
	}
}

func TestSlowAnswersEnd(t *testing.T) {
	f := newFake(2)
	o := defaults()
	o.Request = 50 * time.Millisecond
	url := start(t, f, o) + "/v1/chat/completions"
	if got := request(t, "POST", url, hello); got.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("status %d", got.StatusCode)
	}
	<-f.cancel
}

func TestAnEngineThatFails(t *testing.T) {
	f := newFake(2)
	url := start(t, f, defaults()) + "/v1/chat/completions"
	answers := make(chan string, 2)
	for i, body := range []string{hello, strings.Replace(hello, "{", `{"stream":true,`, 1)} {
		go func() {
			response, err := http.Post(url, "application/json", strings.NewReader(body))
			if err != nil {
				answers <- err.Error()
				return
			}
			text, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			answers <- fmt.Sprintf("%d %s", response.StatusCode, text)
		}()
		f.wait(t, i+1)
	}
	for _, id := range f.wait(t, 2) {
		f.say(id, "beginning")
	}
	time.Sleep(20 * time.Millisecond) // let the stream begin; the test holds either way
	f.Fail(engine.Errorf(engine.Unavailable, "gone"))
	for range 2 {
		answer := <-answers
		whole := strings.HasPrefix(answer, "503 ")
		torn := strings.HasPrefix(answer, "200 ") && strings.Contains(answer, `"engine_unavailable"`) && !strings.Contains(answer, "[DONE]")
		if !whole && !torn {
			t.Errorf("got %q", answer)
		}
	}
	later := request(t, "POST", url, hello)
	if later.StatusCode != http.StatusServiceUnavailable || later.Header.Get("Retry-After") == "" {
		t.Errorf("afterwards: %d", later.StatusCode)
	}
}

func TestKeys(t *testing.T) {
	o := defaults()
	o.Keys = []string{"first", "second"}
	url := start(t, newFake(1), o)
	for _, c := range []struct {
		path, header string
		want         int
	}{
		{"/v1/models", "", 401}, {"/v1/models", "Bearer wrong", 401}, {"/v1/models", "Bearer ", 401}, {"/v1/models", "Basic first", 401},
		{"/v1/models", "first", 401}, {"/v1/models", "Bearer first ", 200}, {"/v1/models", "Bearer second", 200}, {"/v1/models", "bearer second", 200},
		{"/v1/models", "Bearer firstsecond", 401}, {"/metrics", "", 401}, {"/metrics", "Bearer first", 200},
		{"/health", "", 200}, {"/", "", 200}, {"/chat.js", "", 200},
	} {
		got := request(t, "GET", url+c.path, "", "Authorization", c.header)
		if got.StatusCode != c.want {
			t.Errorf("%s with %q: %d, want %d", c.path, c.header, got.StatusCode, c.want)
		}
		if c.want == 401 && got.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 without WWW-Authenticate", c.path)
		}
	}
}

func TestHostsAndOrigins(t *testing.T) {
	o := defaults()
	o.Origins = []string{"https://friend.example"}
	url := start(t, newFake(1), o)
	host := strings.TrimPrefix(url, "http://")
	_, port, _ := net.SplitHostPort(host)
	for _, c := range []struct {
		header []string
		want   int
		allow  string
	}{
		{[]string{"Host", "localhost:" + port}, 200, ""},
		{[]string{"Host", "[::1]:" + port}, 200, ""},
		{[]string{"Host", "evil.example"}, 403, ""},
		{[]string{"Host", "127.0.0.1.evil.example:80"}, 403, ""},
		{[]string{"Host", "localhost.evil.example"}, 403, ""},
		{[]string{"Origin", "http://" + host}, 200, ""},
		{[]string{"Origin", "https://friend.example"}, 200, "https://friend.example"},
		{[]string{"Origin", "https://foe.example"}, 403, ""},
		{[]string{"Origin", "null"}, 403, ""},
	} {
		got := request(t, "GET", url+"/v1/models", "", c.header...)
		if got.StatusCode != c.want || got.Header.Get("Access-Control-Allow-Origin") != c.allow {
			t.Errorf("%v: %d, allows %q", c.header, got.StatusCode, got.Header.Get("Access-Control-Allow-Origin"))
		}
	}
	for asked, want := range map[string]string{"": "Authorization, Content-Type", "authorization,content-type,x-stainless-os": "authorization,content-type,x-stainless-os"} {
		preflight := request(t, "OPTIONS", url+"/v1/chat/completions", "", "Origin", "https://friend.example", "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", asked)
		if got := preflight.Header.Get("Access-Control-Allow-Headers"); preflight.StatusCode != 204 || got != want {
			t.Errorf("a preflight for %q: %d %v", asked, preflight.StatusCode, preflight.Header)
		}
	}
}

func TestSlowBodies(t *testing.T) {
	f := newFake(1)
	o := defaults()
	o.Body = 100 * time.Millisecond
	o.Queue = 0
	url := start(t, f, o)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"prompt\":"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", response.StatusCode)
	}
	// its place in the queue is free again
	go func() { f.finish(f.wait(t, 1)[0]) }()
	if got := request(t, "POST", url+"/v1/chat/completions", hello); got.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %d", got.StatusCode)
	}
}

// TestBodiesThatNobodyWaitsFor do not keep a connection: they are of requests
// that are answered without them.
func TestBodiesThatNobodyWaitsFor(t *testing.T) {
	o := defaults()
	o.Keys, o.Body = []string{"secret"}, 50*time.Millisecond
	address := strings.TrimPrefix(start(t, newFake(1), o), "http://")
	for _, head := range []string{"POST /nowhere", "POST /v1/completions", "DELETE /health", "POST /health", "GET /"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", head); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 ") {
			t.Errorf("%s: %.40q, %v", head, text, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	f := newFake(1)
	url := start(t, f, defaults())
	go func() { f.finish(f.wait(t, 1)[0]) }()
	request(t, "POST", url+"/v1/chat/completions", hello)
	request(t, "GET", url+"/nowhere/at/all", "")
	text, err := io.ReadAll(request(t, "GET", url+"/metrics", "").Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`qlora_http_requests_total{code="200",path="/v1/chat/completions"} 1`, `qlora_http_requests_total{code="404",path="other"} 1`,
		`qlora_tokens_total{kind="generated",model="base"} 2`, `qlora_tokens_total{kind="prompt",model="base"} 3`,
		`qlora_answers_total{end="stop",model="base"} 1`, "qlora_slots 1", "qlora_engine_up 1",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no line %s", want)
		}
	}
}

// TestListenDrains lets an answer under way end, and refuses new ones.
func TestListenDrains(t *testing.T) {
	f := newFake(1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve.New(f, defaults()).Listen(ctx, ln, 10*time.Second) }()
	url := "http://" + ln.Addr().String()
	code := make(chan int, 1)
	go func() {
		response, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(hello))
		if err != nil {
			code <- 0
			return
		}
		_ = response.Body.Close()
		code <- response.StatusCode
	}()
	id := f.wait(t, 1)[0]
	stop()
	for {
		if conn, err := net.Dial("tcp", ln.Addr().String()); err != nil {
			break
		} else {
			_ = conn.Close()
		}
		time.Sleep(time.Millisecond)
	}
	f.finish(id)
	if got := <-code; got != http.StatusOK {
		t.Errorf("the answer under way got %d", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestListenCutsAfterTheDrain(t *testing.T) {
	f := newFake(2)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve.New(f, defaults()).Listen(ctx, ln, 20*time.Millisecond) }()
	answers := make(chan string, 2)
	for i, body := range []string{hello, strings.Replace(hello, "{", `{"stream":true,`, 1)} {
		go func() {
			response, err := http.Post("http://"+ln.Addr().String()+"/v1/chat/completions", "application/json", strings.NewReader(body))
			if err != nil {
				answers <- err.Error()
				return
			}
			text, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			answers <- fmt.Sprintf("%d %s %v", response.StatusCode, text, err)
		}()
		f.say(f.wait(t, i+1)[i], "beginning")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for range 2 {
		answer := <-answers
		torn := strings.HasPrefix(answer, "200 data: ") && strings.HasSuffix(answer, " <nil>") && !strings.Contains(answer, "[DONE]")
		if !strings.Contains(answer, `"server_stopping"`) || !(strings.HasPrefix(answer, "503 ") || torn) {
			t.Errorf("a client that waits is told %s", answer)
		}
		<-f.cancel
	}
}

// TestNothingStaysBehind serves, breaks off, and counts goroutines.
func TestNothingStaysBehind(t *testing.T) {
	f := newFake(8)
	url := start(t, f, defaults())
	round := func() {
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/chat/completions", strings.NewReader(strings.Replace(hello, "{", `{"stream":true,"n":2,`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		f.mu.Lock()
		n := len(f.started)
		f.mu.Unlock()
		go func() { f.say(f.wait(t, n+2)[n], "text") }()
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		leave()
		_ = response.Body.Close()
		<-f.cancel
		<-f.cancel
	}
	for range 5 {
		round()
	}
	http.DefaultClient.CloseIdleConnections()
	before := settled(0)
	for range 50 {
		round()
	}
	http.DefaultClient.CloseIdleConnections()
	if after := settled(before + 5); after > before+5 {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", after, before, buf[:runtime.Stack(buf, true)])
	}
	if n := f.Open(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
}

// settled waits until there are at most n goroutines, or their number rests.
func settled(n int) int {
	last, same := 0, 0
	for range 300 {
		now := runtime.NumGoroutine()
		if n > 0 && now <= n {
			return now
		}
		if now == last {
			if same++; same > 30 {
				break
			}
		} else {
			last, same = now, 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	return last
}

// TestClientsThatNeverReadLetGo asks for answers larger than what the kernel
// keeps for a client, and takes nothing of them: their place must come free.
func TestClientsThatNeverReadLetGo(t *testing.T) {
	for _, c := range []struct{ name, body string }{{"whole", hello}, {"stream", strings.Replace(hello, "{", `{"stream":true,`, 1)}} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(1)
			o := defaults()
			o.Queue, o.Write = 0, 50*time.Millisecond
			url := start(t, f, o)
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(c.body), c.body); err != nil {
				t.Fatal(err)
			}
			id := f.wait(t, 1)[0]
			f.say(id, strings.Repeat("a", 64<<20))
			f.finish(id)
			go func() { f.finish(f.wait(t, 2)[1]) }()
			for range 500 {
				if request(t, "POST", url+"/v1/chat/completions", hello).StatusCode == http.StatusOK {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Error("its place in the queue is taken for ever")
		})
	}
}
