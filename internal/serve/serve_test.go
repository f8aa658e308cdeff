package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/embedded"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/serve"
	"github.com/qlora/qlora/internal/serve/batch"
	"github.com/qlora/qlora/internal/serve/engine"
)

// embeddedShape is that of the embedded model, for adapters to it.
var embeddedShape = llamatest.Options{Embd: 256, FF: 768, Heads: 4, KVHeads: 2, Layers: 6}

// newEngine computes in this process with the embedded model and two adapters.
func newEngine(t *testing.T, slots int) engine.Engine {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "base.gguf")
	if err := embedded.Extract(path); err != nil {
		t.Fatal(err)
	}
	m, err := llama.Load(path, llama.LoadOptions{MMap: true})
	if err != nil {
		t.Fatal(err)
	}
	o := batch.Options{Name: "base", Ctx: 512, Slots: slots, Context: llama.ContextOptions{Threads: 1, FlashAttn: llama.FlashAuto, TypeK: llama.TypeF16, TypeV: llama.TypeF16}}
	var adapters []*llama.Adapter
	for i, name := range []string{"one", "two"} {
		file := filepath.Join(dir, name+".gguf")
		llamatest.Adapter(t, file, embeddedShape, llamatest.AdapterOptions{Seed: uint64(i + 1)})
		a, err := m.LoadAdapter(file)
		if err != nil {
			t.Fatal(err)
		}
		adapters = append(adapters, a)
		o.Adapters = append(o.Adapters, batch.Adapter{Name: name, Apply: []llama.AdapterScale{{Adapter: a, Scale: 0.15}}})
	}
	var router *engine.Router
	s, err := batch.New(m, o, func(items []engine.Item) { router.Deliver(items) })
	if err != nil {
		t.Fatal(err)
	}
	router = engine.NewRouter(s.Info(), s.Do)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		err := errors.Join(<-done, s.Close())
		for _, a := range adapters {
			err = errors.Join(err, a.Close())
		}
		if err = errors.Join(err, m.Close()); err != nil {
			t.Error(err)
		}
	})
	return router
}

func defaults() serve.Options {
	return serve.Options{
		Sampling: engine.Sampling{Temp: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, Repeat: 1},
		MaxBody:  1 << 20, Queue: 16, Body: 2 * time.Second, Request: time.Minute, Write: 5 * time.Second,
		Hosts: []string{"localhost", "127.0.0.1", "::1"},
	}
}

// start serves e and returns the address.
func start(t *testing.T, e engine.Engine, o serve.Options) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(serve.New(e, o).Handler())
	srv.Config.MaxHeaderBytes = 64 << 10
	srv.Config.ReadHeaderTimeout = 2 * time.Second
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

// post sends JSON and returns status and body.
func post(t *testing.T, url string, body any) (int, []byte) {
	t.Helper()
	text, ok := body.(string)
	if !ok {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	response, err := http.Post(url, "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, got
}

type object = map[string]any

func user(text string) []object { return []object{{"role": "user", "content": text}} }

// answerBody is what tests look at in answers, of chats and completions.
type answerBody struct {
	Model   string
	Choices []struct {
		Index   int
		Text    string
		Message struct {
			Role, Content string
			ToolCalls     []callBody `json:"tool_calls"`
		}
		Delta struct {
			Role, Content string
			ToolCalls     []callBody `json:"tool_calls"`
		}
		Logprobs *struct {
			Content []struct {
				Token   string
				Logprob float64
				Top     []object `json:"top_logprobs"`
			}
			Tokens []string
		}
		Finish string `json:"finish_reason"`
	}
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
		Details    struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
	Error *struct {
		Message, Type string
		Param, Code   *string
	}
}

type callBody struct {
	Index    *int
	ID, Type string
	Function struct{ Name, Arguments string }
}

// ask wants status 200 and decodes the answer.
func ask(t *testing.T, url string, body any) answerBody {
	t.Helper()
	status, text := post(t, url, body)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	return decode(t, text)
}

func decode(t *testing.T, text []byte) answerBody {
	t.Helper()
	var a answerBody
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return a
}

// stream reads server-sent events up to [DONE].
func stream(t *testing.T, url string, body any) []answerBody {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("status %d, type %q", response.StatusCode, kind)
	}
	var chunks []answerBody
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return chunks
		}
		chunks = append(chunks, decode(t, []byte(data)))
	}
	t.Fatalf("the stream ended without [DONE]: %v", lines.Err())
	return nil
}

func TestChat(t *testing.T) {
	url := start(t, newEngine(t, 2), defaults()) + "/v1/chat/completions"
	request := object{"messages": user("What does strings.Cut do?"), "max_tokens": 12, "temperature": 0}
	whole := ask(t, url, request)
	c := whole.Choices[0]
	if whole.Model != "base" || c.Message.Role != "assistant" || c.Message.Content == "" || c.Finish != "length" {
		t.Errorf("got %+v", whole)
	}
	if u := whole.Usage; u.Completion != 12 || u.Prompt < 5 || u.Total != u.Prompt+u.Completion {
		t.Errorf("usage %+v", u)
	}
	request["stream"], request["stream_options"] = true, object{"include_usage": true}
	chunks := stream(t, url, request)
	text, finish := "", ""
	for _, chunk := range chunks[:len(chunks)-1] {
		text += chunk.Choices[0].Delta.Content
		finish += chunk.Choices[0].Finish
	}
	if text != c.Message.Content || finish != "length" || chunks[0].Choices[0].Delta.Role != "assistant" {
		t.Errorf("streamed %q (%s), in one piece %q", text, finish, c.Message.Content)
	}
	if last := chunks[len(chunks)-1]; len(last.Choices) != 0 || last.Usage == nil || last.Usage.Completion != 12 || last.Usage.Details.Cached == 0 {
		t.Errorf("the last chunk is %+v", last)
	}
}

func TestChoicesAndSeeds(t *testing.T) {
	url := start(t, newEngine(t, 4), defaults()) + "/v1/chat/completions"
	request := object{"messages": user("hello"), "max_tokens": 16, "n": 3, "seed": 7, "temperature": 1.5}
	a, b := ask(t, url, request), ask(t, url, request)
	for i := range 3 {
		if a.Choices[i].Index != i || a.Choices[i].Message.Content != b.Choices[i].Message.Content {
			t.Errorf("choice %d differs with the same seed: %q, %q", i, a.Choices[i].Message.Content, b.Choices[i].Message.Content)
		}
	}
	if a.Choices[0].Message.Content == a.Choices[1].Message.Content {
		t.Errorf("two choices are both %q", a.Choices[0].Message.Content)
	}
	request["stream"] = true
	seen := map[int]string{}
	for _, chunk := range stream(t, url, request) {
		for _, c := range chunk.Choices {
			seen[c.Index] += c.Delta.Content
		}
	}
	for i := range 3 {
		if seen[i] != a.Choices[i].Message.Content {
			t.Errorf("choice %d streamed %q, in one piece %q", i, seen[i], a.Choices[i].Message.Content)
		}
	}
}

func TestAdaptersByName(t *testing.T) {
	url := start(t, newEngine(t, 4), defaults()) + "/v1/chat/completions"
	answers := map[string]string{}
	for range 2 { // switching there and back changes nothing
		for _, model := range []string{"base", "one", "two"} {
			a := ask(t, url, object{"model": model, "messages": user("What is a goroutine?"), "max_tokens": 12, "temperature": 0})
			text := a.Choices[0].Message.Content
			if a.Model != model {
				t.Errorf("asked %s, answered %s", model, a.Model)
			}
			if before, ok := answers[model]; ok && before != text {
				t.Errorf("%s said %q, now %q", model, before, text)
			}
			answers[model] = text
		}
	}
	if answers["base"] == answers["one"] || answers["one"] == answers["two"] {
		t.Errorf("models answer alike: %q", answers)
	}
	status, body := post(t, url, object{"model": "three", "messages": user("x")})
	if a := decode(t, body); status != http.StatusNotFound || a.Error == nil || *a.Error.Code != "model_not_found" {
		t.Errorf("an unknown model: %d %s", status, body)
	}
}

func TestStops(t *testing.T) {
	url := start(t, newEngine(t, 2), defaults()) + "/v1/completions"
	request := object{"prompt": "package main\n\nimport (\n", "max_tokens": 40, "temperature": 0}
	whole := ask(t, url, request).Choices[0].Text
	if len(whole) < 20 {
		t.Fatalf("too little to stop in: %q", whole)
	}
	stop := whole[8:11]
	request["stop"] = []string{"never there", stop}
	want, _, _ := strings.Cut(whole, stop)
	a := ask(t, url, request)
	if got := a.Choices[0]; got.Text != want || got.Finish != "stop" {
		t.Errorf("stopping at %q in %q gives %q (%s)", stop, whole, got.Text, got.Finish)
	}
	request["stream"] = true
	text := ""
	for _, chunk := range stream(t, url, request) {
		text += chunk.Choices[0].Text
	}
	if text != want {
		t.Errorf("streamed %q, want %q", text, want)
	}
}

func TestFillInTheMiddle(t *testing.T) {
	url := start(t, newEngine(t, 2), defaults()) + "/v1/completions"
	request := object{"prompt": "func add(a, b int) int {\n\treturn a ", "suffix": "\n}\n", "max_tokens": 8, "temperature": 0}
	filled := ask(t, url, request)
	delete(request, "suffix")
	continued := ask(t, url, request)
	if filled.Choices[0].Text == continued.Choices[0].Text {
		t.Errorf("the suffix changes nothing: %q", filled.Choices[0].Text)
	}
	if filled.Usage.Prompt <= continued.Usage.Prompt+2 {
		t.Errorf("the prompt with a suffix has %d tokens, without %d", filled.Usage.Prompt, continued.Usage.Prompt)
	}
}

func TestPromptsOfACompletion(t *testing.T) {
	url := start(t, newEngine(t, 4), defaults()) + "/v1/completions"
	a := ask(t, url, object{"prompt": []string{"package ", "func "}, "n": 2, "max_tokens": 4, "echo": true})
	if len(a.Choices) != 4 || !strings.HasPrefix(a.Choices[1].Text, "package ") || !strings.HasPrefix(a.Choices[2].Text, "func ") {
		t.Errorf("got %+v", a.Choices)
	}
	b := ask(t, url, object{"prompt": []int{5, 6, 7}, "max_tokens": 3, "logprobs": 2})
	if c := b.Choices[0]; b.Usage.Prompt != 3 || c.Logprobs == nil || len(c.Logprobs.Tokens) != 3 {
		t.Errorf("got %+v", b)
	}
}

func TestLogprobs(t *testing.T) {
	url := start(t, newEngine(t, 2), defaults()) + "/v1/chat/completions"
	c := ask(t, url, object{"messages": user("hello"), "max_tokens": 5, "temperature": 0, "logprobs": true, "top_logprobs": 3}).Choices[0]
	if c.Logprobs == nil || len(c.Logprobs.Content) != 5 {
		t.Fatalf("got %+v", c.Logprobs)
	}
	for _, p := range c.Logprobs.Content {
		if p.Logprob > 0 || len(p.Top) != 3 || p.Top[0]["token"] != p.Token {
			t.Errorf("greedy chose %q, the most likely is %v", p.Token, p.Top)
		}
	}
}

func TestShapesOfAnswers(t *testing.T) {
	url := start(t, newEngine(t, 2), defaults()) + "/v1/chat/completions"
	schema := object{"type": "object", "required": []string{"kind", "size"}, "properties": object{
		"kind": object{"enum": []string{"box", "ball"}}, "size": object{"type": "array", "items": object{"type": "boolean"}, "minItems": 2, "maxItems": 2}}}
	a := ask(t, url, object{"messages": user("Describe a thing."), "max_tokens": 200, "seed": 1,
		"response_format": object{"type": "json_schema", "json_schema": object{"name": "thing", "schema": schema}}})
	var thing struct {
		Kind string
		Size []bool
	}
	if err := json.Unmarshal([]byte(a.Choices[0].Message.Content), &thing); err != nil || len(thing.Size) != 2 || thing.Kind != "box" && thing.Kind != "ball" {
		t.Errorf("%v: %q", err, a.Choices[0].Message.Content)
	}
}

var weather = []object{{"type": "function", "function": object{"name": "weather", "description": "tells the weather", "parameters": object{
	"type": "object", "required": []string{"city", "unit"}, "properties": object{
		"city": object{"enum": []string{"Bern", "Oslo"}}, "unit": object{"enum": []string{"C", "F"}}}}}}}

func TestToolsThatMustBeCalled(t *testing.T) {
	url := start(t, newEngine(t, 2), defaults()) + "/v1/chat/completions"
	request := object{"messages": user("Is it warm in Bern?"), "tools": weather, "tool_choice": "required", "max_tokens": 100}
	c := ask(t, url, request).Choices[0]
	checkWeather(t, c.Message.ToolCalls, c.Finish)
	request["stream"], request["tool_choice"] = true, object{"type": "function", "function": object{"name": "weather"}}
	var calls []callBody
	finish := ""
	for _, chunk := range stream(t, url, request) {
		calls = append(calls, chunk.Choices[0].Delta.ToolCalls...)
		finish += chunk.Choices[0].Finish
	}
	checkWeather(t, calls, finish)
	if calls[0].Index == nil || *calls[0].Index != 0 {
		t.Errorf("a streamed call has index %v", calls[0].Index)
	}
	// the conversation goes on with the result
	id := c.Message.ToolCalls[0].ID
	ask(t, url, object{"max_tokens": 4, "tools": weather, "messages": []object{
		{"role": "user", "content": "Is it warm?"},
		{"role": "assistant", "content": nil, "tool_calls": []object{{"id": id, "type": "function", "function": object{"name": "weather", "arguments": `{"city":"Bern"}`}}}},
		{"role": "tool", "tool_call_id": id, "content": "20 C"},
	}})
}

func checkWeather(t *testing.T, calls []callBody, finish string) {
	t.Helper()
	if len(calls) != 1 || finish != "tool_calls" {
		t.Fatalf("calls %+v, finish %q", calls, finish)
	}
	var arguments struct{ City, Unit string }
	if err := json.Unmarshal([]byte(calls[0].Function.Arguments), &arguments); err != nil || arguments.City == "" || arguments.Unit == "" {
		t.Errorf("arguments %q: %v", calls[0].Function.Arguments, err)
	}
	if calls[0].Function.Name != "weather" || calls[0].Type != "function" || calls[0].ID == "" {
		t.Errorf("call %+v", calls[0])
	}
}

// TestFaultsNameTheirParameter: what the engine would refuse is told in the
// words of the request.
func TestFaultsNameTheirParameter(t *testing.T) {
	url := start(t, newEngine(t, 1), defaults())
	long := strings.Repeat("word ", 2000)
	for _, c := range []struct {
		path, param, says string
		body              object
	}{
		{chatPath, "logit_bias", "logit_bias: token 99999 is outside the model's vocabulary", object{"messages": user("a"), "logit_bias": object{"99999": 1}}},
		{textPath, "prompt", "prompt: token 100000 is outside the model's vocabulary", object{"prompt": []int{100000}}},
		{textPath, "prompt", "prompt: token -1 is outside", object{"prompt": [][]int{{1}, {-1}}}},
		{textPath, "prompt", "prompt: the prompt is empty", object{"prompt": ""}},
		{textPath, "prompt", "context", object{"prompt": long}},
		{chatPath, "messages", "context", object{"messages": user(long)}},
	} {
		status, text := post(t, url+c.path, c.body)
		var got struct {
			Error struct{ Message, Param string }
		}
		if err := json.Unmarshal(text, &got); err != nil || status != 400 || got.Error.Param != c.param || !strings.Contains(got.Error.Message, c.says) {
			t.Errorf("%s %s: status %d: %s", c.path, c.says, status, text)
		}
	}
}

// TestPageLeavesTheServerItsDefaults: what nobody set is not sent, and what
// models write is never HTML.
func TestPageLeavesTheServerItsDefaults(t *testing.T) {
	o := defaults()
	o.Sampling.Temp = 0.125
	url := start(t, newFake(1), o)
	get := func(path string) string {
		response, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, %v", path, response.StatusCode, err)
		}
		return string(text)
	}
	if page := get("/"); !regexp.MustCompile(`<input id="temperature"[^>]*placeholder=`).MatchString(page) || regexp.MustCompile(`<input id="temperature"[^>]*value=`).MatchString(page) {
		t.Errorf("the page sets a temperature of its own:\n%s", page)
	}
	if models := get("/v1/models"); !strings.Contains(models, `"temperature":0.125`) {
		t.Errorf("the models do not tell the default: %s", models)
	}
	for _, script := range []string{"/chat.js", "/text.js"} {
		if text := get(script); strings.Contains(text, "innerHTML") || strings.Contains(text, "insertAdjacentHTML") {
			t.Errorf("%s writes HTML", script)
		}
	}
}
