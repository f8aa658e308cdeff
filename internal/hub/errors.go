package hub

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// Kind is why a hub refused.
type Kind string

// The kinds that a person can do something about.
const (
	KindToken    Kind = "token"    // no token, or one that is not valid
	KindGated    Kind = "gated"    // its terms have to be accepted on the hub's site
	KindNoRepo   Kind = "repo"     // no such repository, or a private one
	KindNoRev    Kind = "revision" // no such branch, tag or commit
	KindNoFile   Kind = "file"     // no such file in the repository
	KindBusy     Kind = "busy"     // too many requests, or an error of the server
	KindOther    Kind = "other"
	KindNoRanges Kind = "ranges" // the server ignores ranges
)

// StatusError is an answer other than the one that was asked for.
type StatusError struct {
	Place   string // address without query
	Status  int
	Kind    Kind
	Message string // of the hub; may be empty
	wait    time.Duration
	hub     bool // whether the hub itself answered
}

// Error names the address, the status and the hub's own words.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s answers %d %s", e.Place, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// finalError is one that another attempt cannot mend.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// diskError is a failure to read or write our own files.
type diskError struct{ error }

func (e *diskError) Unwrap() error { return e.error }

// ChangedError says that the hub has another file than the one being fetched.
type ChangedError struct{ What string }

func (e *ChangedError) Error() string { return "the file on the hub has changed: " + e.What }

// statusError reads an answer that is an error and closes it.
func (c *Client) statusError(resp *http.Response) error {
	drain(resp)
	u := resp.Request.URL
	return &StatusError{
		Place: place(u), Status: resp.StatusCode, Message: printable(resp.Header.Get("X-Error-Message")),
		Kind: kindOf(resp), wait: retryAfter(resp.Header, time.Now()), hub: c.isHub(u),
	}
}

// kindOf trusts the hub's own code before the status: it answers 401 for
// repositories that do not exist, so as not to tell which do.
func kindOf(resp *http.Response) Kind {
	switch resp.Header.Get("X-Error-Code") {
	case "GatedRepo":
		return KindGated
	case "RepoNotFound":
		return KindNoRepo
	case "RevisionNotFound":
		return KindNoRev
	case "EntryNotFound":
		return KindNoFile
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return KindToken
	case code == http.StatusNotFound:
		return KindNoRepo
	case code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= 500:
		return KindBusy
	}
	return KindOther
}

// printable keeps a server's words from writing to the terminal what they like.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	if runes := []rune(text); len(runes) > 300 {
		return string(runes[:300]) + "..."
	}
	return text
}
