package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// File is a file of a repository as the hub lists it.
type File struct {
	Path   string // slashes between folders
	Size   int64  // bytes
	SHA256 string // in hex; empty for small files that are kept in git itself
}

const (
	maxPages    = 1000
	maxPageSize = 32 << 20 // bytes
)

// List returns the files of repo at a revision (branch, tag or commit).
func (c *Client) List(ctx context.Context, repo, revision string) ([]File, error) {
	next := c.endpoint.JoinPath("api", "models", repo, "tree", url.PathEscape(revision))
	next.RawQuery = "recursive=true"
	var files []File
	for range maxPages {
		page, link, err := c.page(ctx, next)
		if err != nil {
			return nil, fmt.Errorf("list the files of %s at %s: %w", repo, revision, err)
		}
		files = append(files, page...)
		if link == "" {
			return files, nil
		}
		here := next
		if next, err = here.Parse(link); err != nil {
			return nil, fmt.Errorf("list the files of %s: the address of the next page is none", repo)
		}
		if here.Scheme == "https" && next.Scheme != "https" { // the listing has the hashes that files are held to
			return nil, fmt.Errorf("list the files of %s: %s goes on at an address without https", repo, place(here))
		}
	}
	return nil, fmt.Errorf("list the files of %s: more than %d pages", repo, maxPages)
}

// treeEntry is a file or folder in the hub's listing. For large files the hash
// is that of the content, beside the one of git's own object.
type treeEntry struct {
	Type string `json:"type"`
	Path string `json:"path"`
	Size int64  `json:"size"`
	LFS  *struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	} `json:"lfs"`
}

func (c *Client) page(ctx context.Context, u *url.URL) (files []File, next string, err error) {
	var body []byte
	err = c.again(ctx, min(lookups, c.o.Attempts), func() (bool, error) {
		body, next, err = c.readPage(ctx, u)
		return false, err
	})
	if err != nil {
		return nil, "", err
	}
	var entries []treeEntry
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, "", fmt.Errorf("%s answers with no list of files: %w", place(u), err)
	}
	for _, e := range entries {
		if e.Type != "file" {
			continue
		}
		f := File{Path: e.Path, Size: e.Size}
		if e.LFS != nil {
			f.Size, f.SHA256 = e.LFS.Size, strings.ToLower(e.LFS.OID)
		}
		if f.Size < 0 || printable(f.Path) != f.Path {
			return nil, "", fmt.Errorf("%s lists %q with %d bytes", place(u), f.Path, f.Size)
		}
		files = append(files, f)
	}
	return files, next, nil
}

func (c *Client) readPage(ctx context.Context, u *url.URL) (body []byte, next string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := c.follow(ctx, http.MethodGet, u, nil, false)
	if err != nil {
		return nil, "", err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, "", c.statusError(resp)
	}
	defer resp.Body.Close()
	watched := c.watch(resp.Body, cancel)
	defer watched.stop()
	body, err = io.ReadAll(io.LimitReader(watched, maxPageSize+1))
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", place(u), err)
	}
	if len(body) > maxPageSize {
		return nil, "", &finalError{fmt.Errorf("%s answers with more than %d bytes", place(u), maxPageSize)}
	}
	return body, nextLink(resp.Header), nil
}

var linkNext = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)

// nextLink is the address of the next page in a header Link, or "".
func nextLink(h http.Header) string {
	for _, value := range h.Values("Link") {
		if m := linkNext.FindStringSubmatch(value); m != nil {
			return m[1]
		}
	}
	return ""
}
