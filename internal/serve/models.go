package serve

import (
	"net/http"
	"time"

	"github.com/qlora/qlora/internal/serve/engine"
)

// modelObject is a model as OpenAI lists it, with what is known of ours.
type modelObject struct {
	ID      string    `json:"id"`
	Object  string    `json:"object"`
	Created int64     `json:"created"`
	OwnedBy string    `json:"owned_by"`
	Meta    modelMeta `json:"meta"`
}

type modelMeta struct {
	Base        string  `json:"base,omitempty"` // of an adapter
	Description string  `json:"description"`
	Context     int     `json:"n_ctx"`
	Vocabulary  int     `json:"n_vocab"`
	Temperature float32 `json:"temperature"` // where a request gives none
	Fill        bool    `json:"fill_in_the_middle"`
	Template    bool    `json:"chat_template"`
}

func (s *Server) allModels() []modelObject {
	info := s.engine.Info()
	list := []modelObject{s.modelOf(info, info.Model, "")}
	for _, name := range info.Adapters {
		list = append(list, s.modelOf(info, name, info.Model))
	}
	return list
}

func (s *Server) modelOf(info engine.Info, id, base string) modelObject {
	return modelObject{ID: id, Object: "model", Created: s.started.Unix(), OwnedBy: "qlora", Meta: modelMeta{
		Base: base, Description: info.Describe, Context: info.Ctx, Vocabulary: info.VocabSize,
		Temperature: s.o.Sampling.Temp, Fill: info.CanFill, Template: s.templateText(info) != "",
	}}
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": s.allModels()})
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	for _, m := range s.allModels() {
		if m.ID == name {
			writeJSON(w, http.StatusOK, m)
			return
		}
	}
	writeError(w, newError(http.StatusNotFound, "model", "model_not_found", "the model %.100q does not exist", name))
}

// readier is an engine that can be away.
type readier interface{ Ready() bool }

func (s *Server) ready() bool {
	r, ok := s.engine.(readier)
	return !ok || r.Ready()
}

// health answers without asking the engine, so that it is quick under load.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	status, word := http.StatusOK, "ok"
	if !s.ready() {
		status, word = http.StatusServiceUnavailable, "restarting"
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, map[string]any{"status": word, "uptime_seconds": int(time.Since(s.started).Seconds())})
}
