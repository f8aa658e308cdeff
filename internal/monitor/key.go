package monitor

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
)

// keyCookie is how a browser shows the key after it was typed once.
const keyCookie = "qlora_monitor"

// checkKey lets through requests that show the key, as a bearer token or by the
// cookie, and gives the others a form to type it into.
func (s *Server) checkKey(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/login":
		s.login(w, r)
	case s.hasKey(r):
		next.ServeHTTP(w, r)
	case r.Method == http.MethodGet && r.URL.Path == "/":
		writeLogin(w, http.StatusUnauthorized)
	case r.Method == http.MethodGet && (r.URL.Path == "/style.css" || r.URL.Path == "/icon.svg"):
		next.ServeHTTP(w, r) // the form wears them
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "show the key: Authorization: Bearer KEY")
	}
}

func (s *Server) hasKey(r *http.Request) bool {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return same(token, s.o.Key)
	}
	cookie, err := r.Cookie(keyCookie)
	return err == nil && same(cookie.Value, s.ticket())
}

// same takes the same time wherever a and b differ, however long they are.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// ticket is the value of the cookie: it proves the key without holding it.
func (s *Server) ticket() string {
	h := hmac.New(sha256.New, []byte(s.o.Key))
	h.Write([]byte("qlora monitor"))
	return hex.EncodeToString(h.Sum(nil))
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "not a form")
		return
	}
	if !same(r.PostForm.Get("key"), s.o.Key) {
		writeLogin(w, http.StatusForbidden)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: keyCookie, Value: s.ticket(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

const loginPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>qlora monitor</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
<main class="login">
<h1>qlora monitor</h1>
<form method="post" action="/login">
<label for="key">Key of this server</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Open</button>
WRONG</form>
</main>
</html>
`

func writeLogin(w http.ResponseWriter, status int) {
	wrong := ""
	if status == http.StatusForbidden {
		wrong = `<p role="alert">That is not the key.</p>` + "\n"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strings.Replace(loginPage, "WRONG", wrong, 1))) // a client that has gone needs no answer
}
