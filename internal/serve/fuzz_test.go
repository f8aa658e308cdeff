package serve_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/serve"
	"github.com/qlora/qlora/internal/serve/engine"
)

// FuzzBodies sends any body to both endpoints, before an engine that answers at
// once: no panic, and a status that a request can deserve.
func FuzzBodies(f *testing.F) {
	for _, list := range [][]hostile{hostileParameters(), hostileChats(), hostileTexts(), hostileBodies()} {
		for _, h := range list {
			if _, body, ok := strings.Cut(h.raw, "\r\n\r\n"); ok && len(body) < 4096 {
				f.Add(body)
			}
		}
	}
	var router *engine.Router
	info := engine.Info{Model: "base", Ctx: 64, Slots: 4, Template: fakeTemplate}
	router = engine.NewRouter(info, func(c engine.Call) error {
		if c.Request != nil {
			text := `<tool_call>{"name":"f","arguments":{}}</tool_call>` + c.Request.Prompt.Text
			router.Deliver([]engine.Item{
				{ID: c.ID, Event: engine.Event{Text: text}},
				{ID: c.ID, Event: engine.Event{Finish: &engine.Finish{Reason: "stop"}}},
			})
		}
		return nil
	})
	handler := serve.New(router, defaults()).Handler()
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{chatPath, textPath} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			r.Host = "localhost"
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			switch w.Code {
			case 200, 400, 404, 413, 429:
			default:
				t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
			}
		}
	})
}
