package serve

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/rs/zerolog"
)

// keySet holds digests of the keys, all of one length.
type keySet [][sha256.Size]byte

func newKeySet(keys []string) keySet {
	var set keySet
	for _, k := range keys {
		set = append(set, sha256.Sum256([]byte(k)))
	}
	return set
}

// has compares with every key, in a time that does not depend on them.
func (k keySet) has(key string) bool {
	digest := sha256.Sum256([]byte(key))
	found := 0
	for i := range k {
		found |= subtle.ConstantTimeCompare(digest[:], k[i][:])
	}
	return found == 1
}

// withKey asks for a key, where the server has one.
func (s *Server) withKey(h http.HandlerFunc) http.HandlerFunc {
	if len(s.keys) == 0 {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !s.keys.has(strings.TrimSpace(key)) {
			writeError(w, newError(http.StatusUnauthorized, "", "invalid_api_key", "give the API key of this server, as Authorization: Bearer KEY"))
			return
		}
		h(w, r)
	}
}

// guard is in front of everything: a panic becomes a 500, a foreign Host or
// Origin a 403.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				zerolog.Ctx(r.Context()).Error().Any("panic", p).Bytes("stack", debug.Stack()).Msg("a request failed")
				if seen, ok := w.(*statusWriter); ok && seen.written {
					panic(http.ErrAbortHandler) // the client sees the answer torn off
				}
				writeError(w, newError(http.StatusInternalServerError, "", "", "the request met a fault in this server"))
			}
		}()
		s.awaitBody(w)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !s.hostAllowed(r.Host) {
			writeError(w, newError(http.StatusForbidden, "", "host_not_allowed", "this server is not asked for as %.100q", r.Host))
			return
		}
		if e := s.crossOrigin(w, r); e != nil {
			writeError(w, e)
			return
		}
		if r.Method == http.MethodOptions {
			w.Header().Set("Allow", "GET, HEAD, POST, OPTIONS")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed keeps pages elsewhere from reaching a server on the loopback
// address through a name of theirs that they point at it.
func (s *Server) hostAllowed(host string) bool {
	if s.o.Hosts == nil {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	return slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// crossOrigin lets pages of the allowed origins call, and no others.
func (s *Server) crossOrigin(w http.ResponseWriter, r *http.Request) *apiError {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	if u, err := url.Parse(origin); err == nil && strings.EqualFold(u.Host, r.Host) {
		return nil
	}
	if !slices.Contains(s.o.Origins, "*") && !slices.Contains(s.o.Origins, origin) {
		return newError(http.StatusForbidden, "", "origin_not_allowed", "pages of %.100q may not call this server (--cors allows them)", origin)
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	h.Add("Vary", "Origin")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		// clients add headers of their own, as OpenAI's do; none that is not known here does anything
		h.Set("Access-Control-Allow-Headers", cmp.Or(r.Header.Get("Access-Control-Request-Headers"), "Authorization, Content-Type"))
		h.Set("Access-Control-Max-Age", "600")
	}
	return nil
}
