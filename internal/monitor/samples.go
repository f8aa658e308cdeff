package monitor

import (
	"net/http"

	"github.com/qlora/qlora/internal/runlog"
)

// mostSamples is how many samples an answer has, the newest.
const mostSamples = 200

// sampleList is the answer; Total is how many there are.
type sampleList struct {
	Run     string          `json:"run"`
	Total   int             `json:"total"`
	Samples []runlog.Sample `json:"samples"` // the newest first
}

func (s *Server) serveSamples(w http.ResponseWriter, r *http.Request) {
	found := s.runs.find(r.URL.Query().Get("run"))
	if found == nil {
		refuse(w, http.StatusNotFound, "no such run")
		return
	}
	all, err := runlog.ReadSamples(found.dir)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	list := sampleList{Run: found.name, Total: len(all), Samples: []runlog.Sample{}}
	for i := len(all) - 1; i >= max(0, len(all)-mostSamples); i-- {
		list.Samples = append(list.Samples, all[i])
	}
	answer(w, list)
}
