package serve

import (
	"net/http"

	"github.com/qlora/qlora/internal/serve/web"
)

// addPage adds the chat page. It asks for the key by itself where one is
// needed, so that the page can be had without.
func (s *Server) addPage(mux *http.ServeMux) {
	files := http.FileServerFS(web.Files)
	page := onlyMethod(http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
	mux.HandleFunc("/{$}", page)
	mux.HandleFunc("/chat.js", page)
	mux.HandleFunc("/text.js", page)
	mux.HandleFunc("/chat.css", page)
}
