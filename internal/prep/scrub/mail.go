package scrub

import (
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Addresses that belong to nobody.
var (
	nobodyDomains = []string{"example.com", "example.org", "example.net", "example.edu", "localhost", "users.noreply.github.com", "openssh.com", "libssh.org"}
	nobodyTops    = []string{"example", "test", "invalid", "localhost", "local", "internal", "localdomain", "arpa"}
	nobodyLocals  = []string{"noreply", "no-reply", "donotreply", "do-not-reply", "git", "hg", "svn"}
	sampleLocals  = []string{"user", "user1", "user2", "username", "you", "your", "me", "name", "someone", "somebody", "email", "foo", "bar", "test", "admin", "john.doe", "jane.doe", "johndoe", "first.last"}
	sampleDomains = []string{"domain.com", "company.com", "email.com", "test.com", "foo.com", "bar.com", "host.com", "mail.com", "site.com", "yourdomain.com", "mydomain.com", "somewhere.com", "acme.com", "gmail.com"}
	fileTops      = []string{"png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "tgz", "gz", "zip", "js", "mjs", "ts", "tsx", "css", "json", "html", "yaml", "yml", "txt", "service", "socket", "target", "mount", "slice", "timer", "scope", "device", "conf", "jar", "whl", "go"}
)

// privateTops are top-level domains that firms use inside.
var privateTops = []string{"corp", "lan", "intra", "intranet", "home", "private", "office", "company"}

// realTop tells whether mail can be sent below top, which must be in lower case.
func realTop(top string) bool {
	_, managed := publicsuffix.PublicSuffix("a." + top)
	return managed || slices.Contains(privateTops, top)
}

// mailAllowed tells whether the address text[from:to], with its @ at at, may
// stay: nobody's, a file name such as icon@2x.png, or the password and host of
// a connection string, which have a rule of their own.
func mailAllowed(text string, from, at, to int) bool {
	local, domain := strings.ToLower(text[from:at]), strings.ToLower(text[at+1:to])
	top := domain[strings.LastIndexByte(domain, '.')+1:]
	switch {
	case slices.Contains(nobodyTops, top), slices.Contains(fileTops, top),
		slices.Contains(nobodyDomains, domain), strings.HasPrefix(domain, "example."), strings.Contains(domain, ".example."):
		return true
	case strings.Contains(local, "%20"): // the rest of a URL
		return true
	case slices.ContainsFunc(nobodyLocals[:4], func(s string) bool { return strings.Contains(local, s) }),
		slices.Contains(nobodyLocals, local):
		return true
	case slices.Contains(sampleLocals, local) && slices.Contains(sampleDomains, domain):
		return true
	}
	return !realTop(top) || from > 0 && text[from-1] == ':' && inAuthority(text, from)
}

// inAuthority tells whether at lies between the :// of a URL and its host.
func inAuthority(text string, at int) bool {
	for i := at - 1; i > 0 && at-i < 256; i-- {
		c := text[i]
		if c <= ' ' || c == '"' || c == '\'' {
			return false
		}
		if c == '/' {
			return i > 1 && text[i-1] == '/' && text[i-2] == ':'
		}
	}
	return false
}
