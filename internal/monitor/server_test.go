package monitor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/runlog"
)

// started serves root, looking at it often.
func started(t *testing.T, o Options) (*Server, *httptest.Server) {
	t.Helper()
	s := New(o)
	s.every = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	go s.runs.watch(ctx, s.every)
	served := httptest.NewUnstartedServer(s.Handler())
	served.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	served.Start()
	t.Cleanup(func() {
		cancel()
		served.Close()
	})
	return s, served
}

// makeRun starts a run and leaves it running.
func makeRun(t *testing.T, root, name string) *runlog.Run {
	t.Helper()
	r, err := runlog.Create(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(runlog.Finished, nil) })
	return r
}

// events reads the stream until seen is true for one of a kind.
func events(t *testing.T, served *httptest.Server, act func(), kind string, seen func(listing) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, served.URL+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	lines, event, acted := bufio.NewScanner(response.Body), "", false
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, found := strings.CutPrefix(lines.Text(), "event: "); found {
			event = name
		}
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		if !acted {
			act() // the stream is open: what follows must come through it
			acted = true
		}
		var got struct {
			listing
			Gone []string `json:"gone"`
		}
		if err := json.Unmarshal([]byte(data), &got); err != nil {
			t.Fatalf("event %s: %v in %s", event, err, data)
		}
		for _, name := range got.Gone {
			got.Runs = append(got.Runs, pageSummary{Summary: Summary{Run: name, State: "gone"}})
		}
		if event == kind && seen(got.listing) {
			return
		}
	}
	t.Fatalf("the stream ended without it: %v", lines.Err())
}

// has tells whether a listing holds a run that fits.
func has(name string, fits func(pageSummary) bool) func(listing) bool {
	return func(l listing) bool {
		for _, s := range l.Runs {
			if s.Run == name && fits(s) {
				return true
			}
		}
		return false
	}
}

func atStep(step float64) func(pageSummary) bool {
	return func(s pageSummary) bool { return s.Step != nil && *s.Step == step }
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEventsFollowTheFolder(t *testing.T) {
	root := t.TempDir()
	r := makeRun(t, root, "one")
	check(t, r.Write(runlog.Metrics{Step: 1, Loss: 2}))
	_, served := started(t, Options{Root: root})
	path := filepath.Join(root, "one", runlog.MetricsFile)

	nothing := func() {}
	events(t, served, nothing, "all", has("one", func(s pageSummary) bool { return s.State == runlog.Running }))
	events(t, served, func() { check(t, r.Write(runlog.Metrics{Step: 2, Loss: 1})) }, "runs", has("one", atStep(2)))
	events(t, served, func() { appendTo(t, path, `{"step":3`) }, "runs", func(listing) bool { return true })
	events(t, served, func() { appendTo(t, path, `,"loss":0.5}`+"\n") }, "runs", has("one", func(s pageSummary) bool {
		return atStep(3)(s) && *s.Loss == 0.5 && s.BadLines == 0
	}))
	events(t, served, func() {
		again, err := runlog.Continue(filepath.Join(root, "one"), 1)
		check(t, err)
		t.Cleanup(func() { again.Close(runlog.Finished, nil) })
	}, "runs", has("one", atStep(1)))
	events(t, served, func() { check(t, os.WriteFile(path, nil, 0o644)) }, "runs", has("one", func(s pageSummary) bool { return s.Rows == 0 }))
	events(t, served, func() { check(t, makeRun(t, root, "two").Write(runlog.Metrics{Step: 5})) }, "runs", has("two", atStep(5)))
	events(t, served, func() { check(t, os.RemoveAll(filepath.Join(root, "two"))) }, "runs", has("two", func(s pageSummary) bool { return s.State == "gone" }))
}

func TestEndOfARunArrives(t *testing.T) {
	root := t.TempDir()
	r := makeRun(t, root, "one")
	_, served := started(t, Options{Root: root})
	events(t, served, func() {
		check(t, r.WriteSummary(map[string]string{"adapter": "a.gguf", "best_adapter": "b.gguf"}))
		check(t, r.Close(runlog.Diverged, errors.New("loss is NaN")))
	}, "runs", has("one", func(s pageSummary) bool {
		return s.State == runlog.Diverged && s.Error == "loss is NaN" && s.Adapter == "b.gguf"
	}))
}

// TestNewSettingsArrive writes them after the page has seen the run, as training
// does, and again, as a resume does.
func TestNewSettingsArrive(t *testing.T) {
	root := t.TempDir()
	r := makeRun(t, root, "one")
	_, served := started(t, Options{Root: root})
	settled(t, served, "one")
	config := filepath.Join(root, "one", runlog.ConfigFile)
	var version int64
	for i := range 2 {
		events(t, served, func() {
			check(t, r.WriteConfig([]byte("rank: 8\n")))
			later := time.Now().Add(time.Duration(i) * time.Second)
			check(t, os.Chtimes(config, later, later))
		}, "runs", has("one", func(s pageSummary) bool {
			seen := version
			version = s.Config
			return s.Config > seen
		}))
	}
}

// TestTroubleWithTheFolderArrives puts a file in its place, and takes it away.
func TestTroubleWithTheFolderArrives(t *testing.T) {
	root := filepath.Join(t.TempDir(), "runs")
	_, served := started(t, Options{Root: root})
	events(t, served, func() { check(t, os.WriteFile(root, nil, 0o644)) }, "runs", func(l listing) bool { return l.Problem != "" })
	events(t, served, func() { check(t, os.Remove(root)) }, "runs", func(l listing) bool { return l.Problem == "" })
}

func TestTooManyStreamsAreRefused(t *testing.T) {
	s, served := started(t, Options{Root: t.TempDir()})
	for range maxListeners {
		s.runs.hub.listen()
	}
	if status, _ := get(t, served, "/api/events"); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
}

// get returns the status and the body of a page.
func get(t *testing.T, served *httptest.Server, path string) (int, string) {
	t.Helper()
	response, err := http.Get(served.URL + path)
	check(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	return response.StatusCode, string(body)
}

// settled waits until a run is read.
func settled(t *testing.T, served *httptest.Server, name string) {
	t.Helper()
	events(t, served, func() {}, "all", func(listing) bool { return true })
	for {
		_, body := get(t, served, "/api/runs")
		var l listing
		check(t, json.Unmarshal([]byte(body), &l))
		if has(name, func(s pageSummary) bool { return !s.Loading })(l) {
			return
		}
	}
}

func TestSeries(t *testing.T) {
	root := t.TempDir()
	r := makeRun(t, root, `odd "name" <b>`)
	for step := 1; step <= 4; step++ {
		check(t, r.Write(runlog.Metrics{Step: step, Loss: 1 / float64(step), LR: 0.5}))
	}
	_, served := started(t, Options{Root: root})
	settled(t, served, `odd "name" <b>`)
	status, body := get(t, served, "/api/series?x=step&metric=loss&metric=learning_rate&metric=eval_loss&smooth=0.5&run=nobody&run=odd+%22name%22+%3Cb%3E")
	var got struct {
		Runs map[string]map[string]struct{ X, Y, S []float64 }
	}
	if err := json.Unmarshal([]byte(body), &got); status != http.StatusOK || err != nil {
		t.Fatalf("%d, %v: %s", status, err, body)
	}
	series := got.Runs[`odd "name" <b>`]
	if loss := series["loss"]; fmt.Sprint(loss.X, loss.Y) != "[1 2 3 4] [1 0.5 0.33333334 0.25]" || len(loss.S) != 4 || loss.S[1] >= 1 || loss.S[1] <= 0.5 {
		t.Errorf("loss %+v", loss)
	}
	if len(series["learning_rate"].S) != 0 || len(series) != 2 || len(got.Runs) != 1 {
		t.Errorf("got %s", body)
	}
}

func TestSeriesRefuses(t *testing.T) {
	_, served := started(t, Options{Root: t.TempDir()})
	for _, query := range []string{
		"", "x=step", "run=a", "run=a&x=nothing", "run=a&x=step&metric=nothing", "run=a&x=step&metric=loss&metric=loss",
		"run=a&x=step&from=NaN", "run=a&x=step&to=x", "run=a&x=step&points=0", "run=a&x=step&points=1e9", "run=a&x=step&points=NaN",
		"run=a&x=step&smooth=1", "run=a&x=step&smooth=-1", "run=a&x=step&smooth=NaN", "x=step" + strings.Repeat("&run=a", mostRuns+1),
	} {
		if status, body := get(t, served, "/api/series?"+query); status != http.StatusBadRequest || !json.Valid([]byte(body)) {
			t.Errorf("%q: %d %s", query, status, body)
		}
	}
}

func TestConfig(t *testing.T) {
	root := t.TempDir()
	r := makeRun(t, root, "one")
	check(t, r.WriteConfig([]byte("rank: 8\ndata:\n  - a.jsonl\n  - b.jsonl\nnested:\n  deep: x\nempty: \"\"\nsame: &a [1]\nalias: *a\n")))
	makeRun(t, root, "bare")
	_, served := started(t, Options{Root: root})
	settled(t, served, "one")
	settled(t, served, "bare")
	_, body := get(t, served, "/api/config?run=one")
	want := `[{"name":"rank","value":"8"},{"name":"data.0","value":"a.jsonl"},{"name":"data.1","value":"b.jsonl"},{"name":"nested.deep","value":"x"},` +
		`{"name":"empty","value":""},{"name":"same.0","value":"1"},{"name":"alias","value":"a"}]`
	if !strings.Contains(body, want) {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if status, body := get(t, served, "/api/config?run=bare"); status != http.StatusNotFound || !strings.Contains(body, "no settings") {
		t.Errorf("a run without settings: %d %s", status, body)
	}
}

func TestListenTakesTheNextFreePort(t *testing.T) {
	first, err := Listen("127.0.0.1", 0)
	check(t, err)
	defer first.Close()
	port := first.Addr().(*net.TCPAddr).Port
	second, err := Listen("127.0.0.1", port)
	check(t, err)
	defer second.Close()
	if got := second.Addr().(*net.TCPAddr).Port; got <= port || got >= port+portsTried {
		t.Errorf("port %d is taken, got %d", port, got)
	}
	if _, err := Listen("192.0.2.1", 0); err == nil || errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("an address of no interface: %v", err)
	}
}

func TestServeEnds(t *testing.T) {
	l, err := Listen("127.0.0.1", 0)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- New(Options{Root: t.TempDir()}).Serve(ctx, l) }()
	response, err := http.Get("http://" + l.Addr().String() + "/api/events") // stays open
	check(t, err)
	defer response.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("a done context is no error: %v", err)
	}
}

func TestSamples(t *testing.T) {
	root := t.TempDir()
	r := makeRun(t, root, "one")
	_, served := started(t, Options{Root: root})
	settled(t, served, "one")
	if _, body := get(t, served, "/api/samples?run=one"); !strings.Contains(body, `"total":0,"samples":[]`) {
		t.Errorf("a run without samples: %s", body)
	}
	events(t, served, func() {
		check(t, r.WriteSample(runlog.Sample{Step: 1, Prompt: "a", Text: "<b>"}))
		check(t, r.WriteSample(runlog.Sample{Step: 2, Prompt: "a", Text: "c"}))
	}, "runs", has("one", func(s pageSummary) bool { return s.Samples > 0 }))
	_, body := get(t, served, "/api/samples?run=one")
	var list sampleList
	check(t, json.Unmarshal([]byte(body), &list))
	if list.Total != 2 || len(list.Samples) != 2 || list.Samples[0].Step != 2 || list.Samples[1].Text != "<b>" {
		t.Errorf("got %s", body)
	}
	write(t, filepath.Join(root, "one", runlog.SamplesFile), "nonsense\n")
	if status, body := get(t, served, "/api/samples?run=one"); status != http.StatusUnprocessableEntity || !strings.Contains(body, ":1:") {
		t.Errorf("a broken file: %d %s", status, body)
	}
	if status, _ := get(t, served, "/api/samples?run=two"); status != http.StatusNotFound {
		t.Errorf("no such run: %d", status)
	}
}
