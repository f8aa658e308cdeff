package hub

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Meta is what the hub says about one file before it is fetched.
type Meta struct {
	Repo     string
	Revision string // as asked for
	Commit   string // that the revision stood for; empty where the hub does not say
	Path     string
	Size     int64  // bytes
	ETag     string // of the content, without quotes; pins the download
	SHA256   string // of the content, in hex; empty where the hub does not say
	GitOID   string // SHA-1 of git's object, in hex, for files that are kept in git itself; else empty

	source *url.URL // where its bytes are: the hub, or a file server for a while
}

var (
	hex64 = regexp.MustCompile(`^[0-9a-f]{64}$`)
	hex40 = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Resolve asks for a listed file's metadata at a revision.
func (c *Client) Resolve(ctx context.Context, repo, revision string, f File) (Meta, error) {
	m := Meta{Repo: repo, Revision: revision, Path: f.Path, Size: f.Size, SHA256: f.SHA256}
	err := c.again(ctx, min(lookups, c.o.Attempts), func() (bool, error) { return false, c.head(ctx, &m) })
	if err != nil {
		return Meta{}, fmt.Errorf("look up %s of %s at %s: %w", f.Path, repo, revision, err)
	}
	return m, nil
}

// address is where the hub answers for a file at a revision.
func (c *Client) address(repo, revision, path string) *url.URL {
	var parts []string
	for _, part := range strings.Split(path, "/") {
		parts = append(parts, url.PathEscape(part))
	}
	return c.endpoint.JoinPath(append([]string{repo, "resolve", url.PathEscape(revision)}, parts...)...)
}

// head fills m in from the headers of a HEAD request. Those that speak of the
// content begin with X-Linked where the content is on a file server.
func (c *Client) head(ctx context.Context, m *Meta) error {
	u := c.address(m.Repo, m.Revision, m.Path)
	resp, err := c.follow(ctx, http.MethodHead, u, nil, true)
	if err != nil {
		return err
	}
	drain(resp)
	m.source = resp.Request.URL
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		if m.source, err = m.source.Parse(resp.Header.Get("Location")); err != nil {
			return &finalError{fmt.Errorf("%s redirects to something that is no address", place(u))}
		}
	case resp.StatusCode != http.StatusOK:
		return c.statusError(resp)
	}
	m.Commit = printable(resp.Header.Get("X-Repo-Commit"))
	m.ETag = normalETag(cmp.Or(resp.Header.Get("X-Linked-Etag"), resp.Header.Get("ETag")))
	return m.headSizeAndHash(resp)
}

func (m *Meta) headSizeAndHash(resp *http.Response) error {
	if size := resp.Header.Get("X-Linked-Size"); size != "" {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil || n < 0 {
			return &finalError{fmt.Errorf("the hub says that %s has %q bytes", m.Path, printable(size))}
		}
		m.Size = n
	} else if resp.StatusCode == http.StatusOK && resp.ContentLength >= 0 {
		m.Size = resp.ContentLength
	}
	switch {
	case hex64.MatchString(m.ETag):
		m.SHA256 = m.ETag
	case hex40.MatchString(m.ETag) && m.SHA256 == "":
		m.GitOID = m.ETag
	}
	return nil
}

// normalETag takes the quotes and the mark of a weak one off an ETag.
func normalETag(text string) string {
	return printable(strings.Trim(strings.TrimPrefix(strings.TrimSpace(text), "W/"), `"`))
}

// pin is what makes two answers speak of the same content.
func (m Meta) pin() string { return cmp.Or(m.SHA256, m.ETag) }
