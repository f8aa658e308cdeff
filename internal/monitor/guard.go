package monitor

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
)

// guard sets what every answer carries and lets through only those who may
// read: with a key whoever shows it, else whoever reached this server under a
// name of this machine. A page elsewhere that makes a browser resolve its own
// name to 127.0.0.1 still sends that name as Host.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		switch {
		case s.o.Key != "":
			s.checkKey(w, r, next)
		case !localName(r.Host):
			refuse(w, http.StatusMisdirectedRequest, "this server answers to localhost only")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// localName tells whether a Host header names this machine for itself.
func localName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name, _, err = net.SplitHostPort(host + ":0") // without a port
	}
	if err != nil {
		return false
	}
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

// Loopback tells whether host is an address that only this machine reaches.
func Loopback(host string) bool { return localName(net.JoinHostPort(host, "0")) }

// refuse answers with an error as JSON.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // a client that has gone needs no answer
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answerText(w, text)
}

func answerText(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text) // a client that has gone needs no answer
}
