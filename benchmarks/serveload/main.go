// Serveload asks a qlora serve for streams from many clients at once, and tells
// tokens per second, times to the first token, the latency of /health and the
// memory of the server's processes, as one line of JSON.
//
//	go run ./benchmarks/serveload -url http://127.0.0.1:8080 -clients 64 -seconds 300 -pids 123,456
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type result struct {
	Clients      int              `json:"clients"`
	Seconds      float64          `json:"seconds"`
	Answers      int64            `json:"answers"`
	Tokens       int64            `json:"tokens"`
	PerSecond    float64          `json:"tokens_per_second"`
	Errors       int64            `json:"errors"`
	FirstError   string           `json:"first_error,omitempty"`
	FirstP50     float64          `json:"first_token_p50_ms"`
	FirstP99     float64          `json:"first_token_p99_ms"`
	HealthP50    float64          `json:"health_p50_ms"`
	HealthP99    float64          `json:"health_p99_ms"`
	HealthMax    float64          `json:"health_max_ms"`
	HealthProbes int              `json:"health_probes"`
	RSS          map[string][]int `json:"rss_kib,omitempty"` // by pid: every tenth of the time
}

type load struct {
	url, model string
	limit      int
	client     *http.Client
	answers    atomic.Int64
	tokens     atomic.Int64
	errors     atomic.Int64
	mu         sync.Mutex
	firstError string
	first      []time.Duration
	health     []time.Duration
}

func main() {
	url := flag.String("url", "http://127.0.0.1:8080", "the server")
	clients := flag.Int("clients", 64, "streams at the same time")
	seconds := flag.Int("seconds", 300, "how long")
	limit := flag.Int("tokens", 128, "max_tokens of each answer")
	model := flag.String("model", "", "model to ask for")
	pids := flag.String("pids", "", "processes to watch the memory of")
	flag.Parse()
	l := &load{url: *url, model: *model, limit: *limit, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *clients + 1}}}
	r := l.run(*clients, time.Duration(*seconds)*time.Second, split(*pids))
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil || r.Errors > 0 {
		os.Exit(1)
	}
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func (l *load) run(clients int, d time.Duration, pids []string) result {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	began := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.ask(fmt.Sprintf("Client %d asks for the %d. time: what does the function number %d return?", i, n, i*1000+n))
			}
		})
	}
	all.Go(func() { l.probe(ctx) })
	rss := map[string][]int{}
	for ctx.Err() == nil {
		for _, pid := range pids {
			rss[pid] = append(rss[pid], resident(pid))
		}
		select {
		case <-time.After(d / 10):
		case <-ctx.Done():
		}
	}
	all.Wait()
	spent := time.Since(began).Seconds()
	return result{
		Clients: clients, Seconds: spent, Answers: l.answers.Load(), Tokens: l.tokens.Load(), PerSecond: float64(l.tokens.Load()) / spent,
		Errors: l.errors.Load(), FirstError: l.firstError, FirstP50: quantile(l.first, 0.5), FirstP99: quantile(l.first, 0.99),
		HealthP50: quantile(l.health, 0.5), HealthP99: quantile(l.health, 0.99), HealthMax: quantile(l.health, 1), HealthProbes: len(l.health), RSS: rss,
	}
}

// ask reads one streamed answer to its end, also when the time is over: what the server counted for it is known only then.
func (l *load) ask(text string) {
	body, _ := json.Marshal(map[string]any{
		"model": l.model, "max_tokens": l.limit, "stream": true, "stream_options": map[string]any{"include_usage": true},
		"ignore_eos": true, "messages": []map[string]string{{"role": "user", "content": text}},
	})
	r, _ := http.NewRequest(http.MethodPost, l.url+"/v1/chat/completions", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := l.client.Do(r)
	if err != nil {
		l.fail(err)
		return
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		l.fail(fmt.Errorf("%s: %s", response.Status, text))
		return
	}
	l.read(response.Body, began)
}

// A token inside a character or of a name without text has no chunk, so the answer's own count at its end is what counts.
var (
	marker  = []byte(`"delta":{"content":`)
	counted = regexp.MustCompile(`"completion_tokens":(\d+)`)
)

func (l *load) read(body io.Reader, began time.Time) {
	lines := bufio.NewReaderSize(body, 16<<10)
	first, whole, tokens := true, false, int64(0)
	for {
		line, err := lines.ReadSlice('\n')
		if first && bytes.Contains(line, marker) {
			first = false
			l.mu.Lock()
			l.first = append(l.first, time.Since(began))
			l.mu.Unlock()
		}
		if m := counted.FindSubmatch(line); m != nil {
			tokens, _ = strconv.ParseInt(string(m[1]), 10, 64)
		}
		if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			whole = true
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.fail(err)
			return
		}
	}
	if !whole || tokens == 0 {
		l.fail(errors.New("the stream ended without its count of tokens and [DONE]"))
		return
	}
	l.answers.Add(1)
	l.tokens.Add(tokens)
}

func (l *load) fail(err error) {
	l.errors.Add(1)
	l.mu.Lock()
	if l.firstError == "" {
		l.firstError = err.Error()
	}
	l.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
}

func (l *load) probe(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		response, err := l.client.Get(l.url + "/health")
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			err = errors.Join(err, response.Body.Close())
		}
		if err != nil || response.StatusCode != http.StatusOK {
			l.fail(fmt.Errorf("/health: %v", err))
		}
		l.health = append(l.health, time.Since(began))
		time.Sleep(50 * time.Millisecond)
	}
}

// resident is the resident set of a process in KiB, 0 when it is gone.
func resident(pid string) int {
	text, err := os.ReadFile("/proc/" + pid + "/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return pages * os.Getpagesize() / 1024
}

// quantile in milliseconds.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[int(q*float64(len(d)-1))].Microseconds()) / 1000
}
