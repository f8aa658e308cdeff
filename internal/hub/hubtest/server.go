// Package hubtest is a hub for tests: two servers, one that lists and resolves
// files and one, on another host, that holds their content.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Behaviour is how the servers answer.
type Behaviour struct {
	Repo   string
	Token  string // required by the hub, if not empty
	Direct bool   // the hub sends the content itself
	Pages  int    // files on a page of the listing, 0: all
	Tear   int    // ends each answer with content after that many bytes, if above 0

	// OnHub and OnFile may answer a request themselves, and return true then.
	OnHub, OnFile func(w http.ResponseWriter, r *http.Request) bool
	// OnPiece is called after each piece of content that was sent.
	OnPiece func(path string, sent int64)
}

// Server holds one repository. Its behaviour is set before the first request or
// through Change.
type Server struct {
	Behaviour

	hub, file *httptest.Server
	fields    sync.RWMutex // the exported ones
	mu        sync.Mutex   // those below
	content   map[string][]byte
	inGit     map[string]bool
	commit    int
	counts    map[string][]uint8 // how often each byte was sent
	strangers []string           // Authorization headers that came to the file server
	requests  atomic.Int64       // for content
	active    atomic.Int64       // answers with content that are not ended
}

// piece is how many bytes are sent at a time.
const piece = 16 << 10

// New starts both servers; they stop at the end of the test.
func New(t testing.TB, repo string) *Server {
	t.Helper()
	s := &Server{content: map[string][]byte{}, inGit: map[string]bool{}, counts: map[string][]uint8{}}
	s.Repo = repo
	s.hub = httptest.NewServer(http.HandlerFunc(s.serveHub))
	s.file = httptest.NewServer(http.HandlerFunc(s.serveFile))
	t.Cleanup(s.hub.Close)
	t.Cleanup(s.file.Close)
	return s
}

// Change sets fields while requests may be under way.
func (s *Server) Change(set func()) {
	s.fields.Lock()
	defer s.fields.Unlock()
	set()
}

// now is the behaviour as one request meets it.
func (s *Server) now() Behaviour {
	s.fields.RLock()
	defer s.fields.RUnlock()
	return s.Behaviour
}

// URL is the endpoint.
func (s *Server) URL() string { return s.hub.URL }

// FileURL is the address of the server that holds the content.
func (s *Server) FileURL() string { return s.file.URL }

// Bytes are n bytes that follow from seed.
func Bytes(seed int64, n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

// Put adds or changes a large file, as a new commit.
func (s *Server) Put(path string, content []byte) { s.put(path, content, false) }

// PutInGit adds a file whose hash is that of git's object.
func (s *Server) PutInGit(path string, content []byte) { s.put(path, content, true) }

func (s *Server) put(path string, content []byte, inGit bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content[path], s.inGit[path], s.counts[path] = content, inGit, make([]uint8, len(content))
	s.commit++
}

// Counts are how often each byte of a file was sent so far.
func (s *Server) Counts(path string) []uint8 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uint8(nil), s.counts[path]...)
}

// Sent is how many bytes of a file were sent, repeated ones each time.
func (s *Server) Sent(path string) (n int64) {
	for _, c := range s.Counts(path) {
		n += int64(c)
	}
	return n
}

// Requests is how many requests for content there were.
func (s *Server) Requests() int64 { return s.requests.Load() }

// Idle waits until no answer with content is under way.
func (s *Server) Idle() {
	for s.active.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// Strangers are the tokens that reached the file server; there ought to be none.
func (s *Server) Strangers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.strangers...)
}

// SHA256 is the hash of content in hex.
func SHA256(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func gitOID(content []byte) string {
	sum := sha1.Sum(append([]byte(fmt.Sprintf("blob %d\x00", len(content))), content...))
	return hex.EncodeToString(sum[:])
}

func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	b := s.now()
	if b.OnHub != nil && b.OnHub(w, r) {
		return
	}
	b = s.now()
	if b.Token != "" && r.Header.Get("Authorization") != "Bearer "+b.Token {
		Refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/models/"+b.Repo+"/tree/") {
		s.list(w, r, b.Pages)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/"+b.Repo+"/resolve/")
	revision, path, _ := strings.Cut(rest, "/")
	if !ok {
		Refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
		return
	}
	s.resolve(w, r, revision, path)
}

// Refuse answers as the hub does.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", message)
	http.Error(w, message, status)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, pages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := []any{map[string]any{"type": "directory", "path": "folder", "size": 0}}
	for _, path := range slices.Sorted(maps.Keys(s.content)) {
		content := s.content[path]
		e := map[string]any{"type": "file", "path": path, "size": len(content), "oid": gitOID(content)}
		if !s.inGit[path] {
			e["lfs"] = map[string]any{"oid": SHA256(content), "size": len(content), "pointerSize": 134}
		}
		entries = append(entries, e)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	end := len(entries)
	if pages > 0 && from+pages < end {
		end = from + pages
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, s.hub.URL, r.URL.EscapedPath(), end))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(entries[from:end])
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, revision, path string) {
	s.mu.Lock()
	content, ok := s.content[path]
	inGit := s.inGit[path]
	s.mu.Unlock()
	commit := s.Commit()
	switch {
	case revision != "main" && revision != commit:
		Refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	case !ok:
		Refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	h := w.Header()
	h.Set("X-Repo-Commit", commit)
	etag := SHA256(content)
	if inGit {
		etag = gitOID(content)
	}
	if s.now().Direct || inGit {
		h.Set("ETag", `"`+etag+`"`)
		s.send(w, r, path, content)
		return
	}
	h.Set("X-Linked-Etag", `"`+etag+`"`)
	h.Set("X-Linked-Size", strconv.Itoa(len(content)))
	h.Set("ETag", `"of-the-redirect"`)
	h.Set("Location", s.file.URL+"/store/"+path+"?signature=secret-"+commit)
	w.WriteHeader(http.StatusFound)
}

// Commit is the name of the newest one.
func (s *Server) Commit() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%040d", s.commit)
}

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	if a := r.Header.Get("Authorization") + r.Header.Get("Cookie"); a != "" {
		s.mu.Lock()
		s.strangers = append(s.strangers, a)
		s.mu.Unlock()
	}
	if b := s.now(); b.OnFile != nil && b.OnFile(w, r) {
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/store/")
	s.mu.Lock()
	content := s.content[path]
	s.mu.Unlock()
	if !ok || content == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"store-`+SHA256(content)[:8]+`"`)
	s.send(w, r, path, content)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, path string, content []byte) {
	from, end, status := 0, len(content), http.StatusOK
	if text := r.Header.Get("Range"); text != "" {
		if _, err := fmt.Sscanf(text, "bytes=%d-%d", &from, &end); err != nil || from > end || from >= len(content) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		end = min(end+1, len(content))
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, end-1, len(content)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(end-from))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	s.requests.Add(1)
	s.active.Add(1)
	defer s.active.Add(-1)
	s.pieces(w, path, content, from, end)
}

func (s *Server) pieces(w http.ResponseWriter, path string, content []byte, from, end int) {
	b, torn := s.now(), end
	if b.Tear > 0 {
		torn = min(end, from+b.Tear)
	}
	for at := from; at < torn; {
		n, err := w.Write(content[at:min(at+piece, torn)])
		if err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		s.mu.Lock()
		for i := at; i < at+n && i < len(s.counts[path]); i++ {
			s.counts[path][i]++
		}
		s.mu.Unlock()
		if at += n; b.OnPiece != nil {
			b.OnPiece(path, int64(n))
		}
	}
	if torn < end {
		panic(http.ErrAbortHandler)
	}
}
