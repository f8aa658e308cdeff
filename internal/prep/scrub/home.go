package scrub

import (
	"slices"
	"strings"
)

// sharedHomes are names of home directories that belong to no person.
var sharedHomes = []string{
	neutralHome, "users", "username", "user-name", "user_name", "yourname", "your-name", "you", "me", "name", "myuser", "youruser",
	"root", "admin", "administrator", "guest", "nobody", "public", "shared", "default", "all", "test", "tests", "testuser", "app", "apps",
	"node", "www", "www-data", "git", "runner", "runneradmin", "ubuntu", "debian", "centos", "fedora", "ec2-user", "azureuser", "vagrant",
	"vscode", "codespace", "gitpod", "circleci", "travis", "jenkins", "jovyan", "linuxbrew", "docker", "container", "builder", "build",
	"ftp", "http", "postgres", "mysql", "nginx", "foo", "bar", "baz", "lib", "bin", "etc", "var", "tmp", "opt", "home", "index", "page", "someuser", "some-user",
	"user1", "user2", "yourusername", "foobar", "asdf", "jdoe", "johndoe", "gopher", "student", "staff", "support", "special", "sandbox", "service",
	"hadoop", "spark", "jupyter", "httpd", "apache", "python", "cpython", "oracle", "tomcat", "airflow", "kafka", "elasticsearch", "redis", "mongodb",
	"path", "to", "some", "dir", "directory", "folder", "file", "files", "catch", "djangoprojects", "distutils", "allfields", "struid",
	"html", "media", "images", "image", "static", "code", "mycode", "project", "projects", "myproject", "data", "dev", "developer", "deploy", "web", "site", "sites", "work", "workspace", "src",
}

var (
	homeBytes  = merge(wordBytes, setOf(".-"))
	pathBefore = merge(wordBytes, setOf("./\\-~})$]"))
)

// homePlaces are what stands before the name of a home directory, in lower
// case; exact ones must be spelled as on the right, since /users/ in lower case
// is the path of many a web service.
var homePlaces = []struct{ literal, exact string }{
	{"/home/", "/home/"},
	{"/users/", "/Users/"},
	{`:\users\`, ""},
	{`:\\users\\`, ""},
	{"-users-", ""}, // folders that are named after a path, with dashes for what separates its parts
	{"-home-", ""},
}

// detectHome looks at the name that follows text[start:end].
func detectHome(sc *scan, r *rule, exact, text string, start, end int) {
	if exact != "" && (text[start:end] != exact || !beginsPath(text, start)) {
		return
	}
	stop := end
	folder := text[end-1] == '-'
	if folder && !beginsFolder(text, start) {
		return
	}
	for stop < len(text) && homeBytes.has(text[stop]) && !(folder && text[stop] == '-') {
		stop++
	}
	if text[end-1] == '\\' {
		stop = windowsName(text, end, stop)
	}
	inPath := stop < len(text) && (text[stop] == '/' || text[stop] == '\\' || folder)
	if !inPath {
		stop = end + len(strings.TrimRight(text[end:stop], ".-"))
	}
	name := text[end:stop]
	if len(name) < 2 || len(name) > 32 || name[0] == '.' || name[0] == '-' || !inPath && strings.Contains(name, ".") {
		return
	}
	if slices.Contains(sharedHomes, strings.ToLower(name)) || siteName(name) || strings.Trim(name, "xX.") == "" {
		return
	}
	sc.spans = append(sc.spans, span{end, stop, r})
}

// siteName recognises folders that are named after a web site.
func siteName(name string) bool {
	return slices.ContainsFunc([]string{".com", ".org", ".net"}, func(top string) bool { return strings.HasSuffix(name, top) })
}

// windowsName extends a name over blanks when a backslash ends it.
func windowsName(text string, from, stop int) int {
	end := stop
	for end < len(text) && end-from < 32 && (homeBytes.has(text[end]) || text[end] == ' ') {
		end++
	}
	if end < len(text) && text[end] == '\\' {
		return end
	}
	return stop
}

// beginsPath tells whether a path starts at start: nothing before it belongs
// to the same path, but for a drive, file:// or an escape such as \n.
func beginsPath(text string, start int) bool {
	if start == 0 || !pathBefore.has(text[start-1]) {
		return true
	}
	before := text[max(0, start-7):start]
	for _, prefix := range []string{"file://", "/mnt/c", "/mnt/d", "/c", `\n`, `\t`} {
		if strings.HasSuffix(before, prefix) {
			return true
		}
	}
	return false
}

// beginsFolder tells whether the name of a folder begins at start, or a drive
// letter before it, as in C--Users-NAME.
func beginsFolder(text string, start int) bool {
	if start >= 2 && text[start-1] == '-' && wordBytes.has(text[start-2]) {
		start -= 2
	}
	return start == 0 || text[start-1] == '/' || text[start-1] == '\\'
}
