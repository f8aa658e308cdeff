package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultEndpoint is the hub that is asked when none is named.
const DefaultEndpoint = "https://huggingface.co"

// Options say how a hub is reached. Zero values stand for the defaults.
type Options struct {
	Endpoint    string        // address of the hub; DefaultEndpoint
	Token       string        // sent to the hub as a bearer token; none
	UserAgent   string        // "qlora"
	Connections int           // at a time for one file; 8
	ChunkSize   int64         // bytes of one request and of one entry in the journal; 8 MiB
	Attempts    int           // in a row that may fail before a download does; 9
	Backoff     time.Duration // before the second attempt, doubled before each next; 500 ms
	IdleTimeout time.Duration // in which LeastRate must be met, else the connection is torn; 30 s
	LeastRate   int64         // bytes per second of one connection; 256
	Note        func(string)  // is told in a line about waits and restarts; must be safe to call from several goroutines
}

// Client speaks with one hub. It is safe for use by several goroutines.
type Client struct {
	o        Options
	endpoint *url.URL
	http     *http.Client
}

// maxWait is the longest pause between attempts, and the longest that a hub may
// ask for.
const maxWait = 5 * time.Minute

// New checks the options.
func New(o Options) (*Client, error) {
	o.Endpoint = strings.TrimRight(cmp.Or(o.Endpoint, DefaultEndpoint), "/")
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" {
		return nil, errors.New("the endpoint must be an address such as " + DefaultEndpoint)
	}
	o.Token = strings.TrimSpace(o.Token)
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token holds characters that no token has")
	}
	o.UserAgent = cmp.Or(o.UserAgent, "qlora")
	o.Connections = cmp.Or(o.Connections, 8)
	o.ChunkSize = cmp.Or(o.ChunkSize, 8<<20)
	o.Attempts = cmp.Or(o.Attempts, 9)
	o.Backoff = cmp.Or(o.Backoff, 500*time.Millisecond)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 30*time.Second)
	o.LeastRate = cmp.Or(o.LeastRate, 256)
	if o.Note == nil {
		o.Note = func(string) {}
	}
	return &Client{o: o, endpoint: endpoint, http: newHTTP(o)}, nil
}

// newHTTP speaks HTTP/1.1 alone: HTTP/2 would put all ranges into one
// connection. Redirects are followed by hand, since the standard client sends
// the token on to subdomains.
func newHTTP(o Options) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: o.IdleTimeout}).DialContext,
			TLSHandshakeTimeout:   o.IdleTimeout,
			ResponseHeaderTimeout: o.IdleTimeout,
			MaxIdleConnsPerHost:   o.Connections,
			IdleConnTimeout:       time.Minute,
			DisableCompression:    true,
			Protocols:             protocols,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// TokenStays says why a token that was given is not sent, or "".
func (c *Client) TokenStays() string {
	if c.o.Token != "" && !c.secure() {
		return "the endpoint is not https, where others could read the token"
	}
	return ""
}

// secure is whether what is sent to the endpoint stays between it and us.
func (c *Client) secure() bool {
	host := c.endpoint.Hostname()
	ip := net.ParseIP(host)
	return c.endpoint.Scheme == "https" || host == "localhost" || ip != nil && ip.IsLoopback()
}

// Endpoint is the address of the hub, without a password that it may hold.
func (c *Client) Endpoint() string { return c.endpoint.Redacted() }

// isHub tells the hub itself from the hosts that it redirects to.
func (c *Client) isHub(u *url.URL) bool {
	return u.Scheme == c.endpoint.Scheme && strings.EqualFold(u.Host, c.endpoint.Host)
}

const maxRedirects = 10

// follow sends a request and follows redirects: all of them, or with within
// only those that stay on the hub. The caller closes the body.
func (c *Client) follow(ctx context.Context, method string, u *url.URL, header http.Header, within bool) (*http.Response, error) {
	for range maxRedirects {
		resp, err := c.send(ctx, method, u, header)
		if err != nil {
			return nil, err
		}
		location := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode >= 400 || location == "" {
			return resp, nil
		}
		next, err := u.Parse(location)
		switch {
		case err != nil || next.Host == "" || next.Scheme != "https" && next.Scheme != "http":
			err = fmt.Errorf("%s redirects to something that is no address", place(u))
		case u.Scheme == "https" && next.Scheme == "http":
			err = fmt.Errorf("%s redirects from https to http", place(u))
		case within && !c.isHub(next):
			return resp, nil
		}
		drain(resp)
		if err != nil {
			return nil, &finalError{err}
		}
		u = next
	}
	return nil, &finalError{fmt.Errorf("%s redirects more than %d times", place(u), maxRedirects)}
}

// send makes one request. The token goes to the hub alone.
func (c *Client) send(ctx context.Context, method string, u *url.URL, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, &finalError{fmt.Errorf("ask %s: not an address", place(u))}
	}
	for key, values := range header {
		req.Header[key] = values
	}
	req.Header.Set("User-Agent", c.o.UserAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if c.o.Token != "" && c.isHub(u) && c.secure() {
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", place(u), bare(err))
	}
	return resp, nil
}

// place names an address without its query, in which file servers carry
// signatures, and without a password.
func place(u *url.URL) string {
	short := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return short.String()
}

// bare takes the address, which holds the query, off an error of net/http.
func bare(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// drain lets a connection be used again where little is left to read.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // the answer is not wanted, nor whether it ended well
	_ = resp.Body.Close()
}
