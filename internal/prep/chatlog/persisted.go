package chatlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A result that was too large for the log was saved beside the session, in
// SESSION/tool-results, and the log holds its beginning and its path.
const (
	persistedStart = "<persisted-output>"
	persistedSaved = "Full output saved to: "
	resultsName    = "tool-results"
)

// resultsFolder is where the stored results of a session file are: in
// SESSION/tool-results beside SESSION.jsonl; for an agent in
// SESSION/subagents, in SESSION/tool-results. It is "" inside archives.
func resultsFolder(src source) string {
	if src.entry != "" {
		return ""
	}
	for dir := filepath.Dir(src.path); ; dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "subagents" {
			return filepath.Join(filepath.Dir(dir), resultsName)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return filepath.Join(filepath.Dir(src.path), baseName(filepath.Base(src.path)), resultsName)
}

// errOutside says that a stored result is not in the session's own folder.
var errOutside = errors.New("not in the session's own folder")

// persistedName is the file that a result says it was saved to, relative to
// the folder of stored results. The folder itself may have moved since.
func persistedName(text string) (name string, persisted bool, err error) {
	if !strings.HasPrefix(text, persistedStart) {
		return "", false, nil
	}
	_, rest, ok := strings.Cut(text, persistedSaved)
	if !ok {
		return "", true, errOutside
	}
	line, _, _ := strings.Cut(rest, "\n")
	line = strings.ReplaceAll(strings.TrimSpace(line), `\`, "/")
	_, name, ok = strings.Cut(line, "/"+resultsName+"/")
	if !ok || !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", true, errOutside
	}
	return filepath.FromSlash(name), true, nil
}

// stored reads a stored result. Links that lead out of the folder are refused.
func (s *session) stored(name string, limit, margin int) (clip, error) {
	if s.results == "" {
		return clip{}, errOutside
	}
	root, err := os.OpenRoot(s.results)
	if err != nil {
		return clip{}, err
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return clip{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return clip{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxStored {
		return clip{}, fmt.Errorf("%s: not a file of up to %d bytes", name, maxStored)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxStored))
	if err != nil {
		return clip{}, err
	}
	return newClip(tidy([]byte(strings.ToValidUTF8(string(text), "\ufffd"))), limit, margin), nil
}

// maxStored is the largest stored result that is read, bytes.
const maxStored = 64 << 20

// unpersist replaces the result of a call by what was stored, where it can be
// had, and says why not where it cannot.
func (t *turns) unpersist(c clip) (full clip, reason string) {
	name, persisted, err := persistedName(c.head)
	if !persisted {
		return c, ""
	}
	if err == nil {
		if full, err = t.session.stored(name, t.o.ResultLimit, t.margin); err == nil {
			return full, ""
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return c, reasonStoredMissing
	}
	return c, reasonStoredOutside
}
