package scrub

import (
	"slices"
	"strings"
)

var urlRule = &rule{id: "connection-string", description: "password, or a token as user name, in scheme://user:password@host"}

var (
	schemeBytes = merge(wordBytes, setOf("+.-"))
	authorityOK = func() byteSet {
		var s byteSet
		s.addRange('!', 255)
		for _, c := range []byte("\"'`<>/?#\\)") {
			s[c>>6] &^= 1 << (c & 63)
		}
		return s
	}()
)

// databases are schemes whose passwords are often written without the
// escapes that URLs ask for.
var databases = []string{"postgres", "postgresql", "mysql", "mariadb", "mongodb", "mongodb+srv", "redis", "rediss", "amqp", "amqps", "mssql", "sqlserver", "clickhouse"}

// detectURL looks at the authority after the text[start:end] "://".
func detectURL(sc *scan, r *rule, text string, start, end int) {
	if start == 0 || !schemeBytes.has(text[start-1]) {
		return
	}
	stop := end
	for stop < len(text) && stop-end < 512 && authorityOK.has(text[stop]) {
		stop++
	}
	at := strings.LastIndexByte(text[end:stop], '@')
	if at < 0 {
		at = strings.IndexByte(text[end:min(len(text), end+200)], '@')
		if at < 0 || !slices.Contains(databases, schemeBefore(text, start)) || strings.ContainsAny(text[end:end+at], " \t\n\"'`<>") {
			return
		}
	}
	at += end
	if from := secretStart(text, end, at); from < at && !sampleHost(text[at+1:]) && !samplePassword(text[from:at]) && !namesTarget(text[at+1:], text[from:at]) {
		sc.spans = append(sc.spans, span{from, at, r})
	}
}

// Letters alone are what an example has in the place of a password: fewer than
// shortPassword anywhere, fewer than longWord where the host is this machine
// or, in a Basic header, not named.
const (
	shortPassword = 6
	longWord      = 9
)

func wordAlone(s string) bool { return len(s) < longWord && isLetters(s) }

func localHost(rest string) bool {
	return strings.HasPrefix(rest, "localhost") || strings.HasPrefix(rest, "127.0.0.1") || strings.HasPrefix(rest, "[::1]")
}

// secretStart finds what is secret in the user part text[from:at]: the
// password, or a user name that is a token; at when nothing is.
func secretStart(text string, from, at int) int {
	user, password, found := strings.Cut(text[from:at], ":")
	if found {
		if strings.EqualFold(user, password) || wordAlone(password) && (len(password) < shortPassword || localHost(text[at+1:])) || len(password) < 3 {
			return at
		}
		return at - len(password)
	}
	if len(user) >= 20 && hasDigit(user) && !strings.HasPrefix(strings.ToLower(user), "%3c") && entropy(user) > 3.5 {
		return from
	}
	return at
}

func schemeBefore(text string, end int) string {
	from := end
	for from > 0 && schemeBytes.has(text[from-1]) {
		from--
	}
	return strings.ToLower(text[from:end])
}

// namesTarget tells whether the password is also the name of the host or of the
// database, as in settings that are made to be replaced.
func namesTarget(rest, password string) bool {
	host, path, _ := strings.Cut(rest[:min(len(rest), 200)], "/")
	host, _, _ = strings.Cut(host, ":")
	end := 0
	for end < len(path) && isWord(path[end]) {
		end++
	}
	return password == host || password == path[:end]
}

// sampleHost recognises the hosts of documentation.
func sampleHost(rest string) bool {
	end := 0
	for end < len(rest) && domainBytes.has(rest[end]) {
		end++
	}
	host := strings.ToLower(strings.Trim(rest[:end], "."))
	top := host[strings.LastIndexByte(host, '.')+1:]
	return slices.Contains(nobodyDomains[:4], host) || strings.HasPrefix(host, "example.") || strings.Contains(host, ".example.") || top == "example" || top == "test" || top == "invalid"
}
