package monitor

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed web
var web embed.FS

// pageFiles serves what is embedded, and lists no folder.
func pageFiles() http.Handler {
	files, err := fs.Sub(web, "web")
	if err != nil {
		// The name is a constant; fs.Sub fails for an invalid one alone.
		return http.NotFoundHandler()
	}
	serve := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info, err := fs.Stat(files, cleanName(r.URL.Path)); err != nil || info.IsDir() && r.URL.Path != "/" {
			refuse(w, http.StatusNotFound, "no such page")
			return
		}
		w.Header().Set("Cache-Control", "no-cache") // a new binary brings a new page
		serve.ServeHTTP(w, r)
	})
}

// cleanName is the embedded file that a path means; an invalid one has none.
func cleanName(path string) string {
	if path == "/" {
		return "."
	}
	return path[1:]
}
