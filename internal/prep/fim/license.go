package fim

import (
	"context"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/google/licensecheck"
)

// licenseName matches the files that state the licence of a folder.
var licenseName = regexp.MustCompile(`(?i)^(un)?(licen[sc]es?|copying(\.lesser)?|copyright)(-[a-z0-9.-]+)?(\.(txt|md|rst|markdown|mit|apache|bsd|gpl))?$`)

// minCoverage is how many percent of a licence file must be known text.
const minCoverage = 60

// headLicense bounds the comment at the top of a file, bytes.
const headLicense = 4096

// findLicenses reads the licence files of the repository. Several in one
// folder are taken to hold together, except that one whose text is not known
// says nothing. Where licences decide, deep is set and rare ones are known too.
func (l *Listing) findLicenses(ctx context.Context, deep bool) {
	l.licenses = map[string]string{}
	for _, e := range l.entries {
		dir, base := path.Split(e.path)
		if !licenseName.MatchString(base) {
			continue
		}
		text, err := l.readPath(ctx, e.path)
		if err != nil {
			continue // it is listed as a file, and counted there
		}
		if id := textLicense(text, minCoverage, deep); id != "" {
			dir = strings.TrimSuffix(dir, "/")
			l.licenses[dir] = both(l.licenses[dir], id)
		}
	}
	l.License = l.licenses[""]
}

// folderLicense is what the nearest licence file above says, or "".
func (l *Listing) folderLicense(file string) string {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if dir == "." || dir == "/" {
			return l.licenses[""]
		}
		if id := l.licenses[dir]; id != "" {
			return id
		}
	}
}

// fileLicense is what the top of a file says: an SPDX tag, or, where the text
// speaks of permission and deep is set, the known texts that it quotes. Those
// are looked for only when licences decide: it takes longer than all the rest.
func fileLicense(src []byte, deep bool) string {
	head := src[:min(len(src), headLicense)]
	if m := spdxTag.FindSubmatch(head); m != nil {
		return strings.TrimSpace(string(m[1]))
	}
	if !deep || !grants.Match(head) {
		return ""
	}
	return textLicense(head, 0, deep)
}

var grants = regexp.MustCompile(`(?i)licen[sc]|permission|redistribut`)

var spdxTag = regexp.MustCompile(`SPDX-License-` + `Identifier:[ \t]*([A-Za-z0-9.+\-()\t ]*[A-Za-z0-9.+)])`)

// commonLicenses are looked for first: to prepare a search for all that the
// library knows takes most of a second, for these, hundredths.
var commonLicenses = []string{
	"0BSD", "AGPL-3.0", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "GPL-2.0", "GPL-3.0", "ISC", "LGPL-2.1", "LGPL-3.0",
	"MIT", "MPL-2.0", "Unlicense", "Zlib",
}

var commonScanner = sync.OnceValues(func() (*licensecheck.Scanner, error) {
	var list []licensecheck.License
	for _, l := range licensecheck.BuiltinLicenses() {
		if slices.Contains(commonLicenses, l.ID) {
			list = append(list, l)
		}
	}
	return licensecheck.NewScanner(list)
})

// coveredByCommon is how many percent of a text the common licences must
// explain for no other to be looked for.
const coveredByCommon = 95

// scanLicense finds the known licences in a text; only the common ones unless
// deep is set.
func scanLicense(text []byte, deep bool) licensecheck.Coverage {
	if s, err := commonScanner(); err == nil {
		if c := s.Scan(text); !deep || c.Percent >= coveredByCommon {
			return c
		}
	}
	return licensecheck.Scan(text)
}

// textLicense names the licences in a text, all of which hold.
func textLicense(text []byte, percent float64, deep bool) string {
	coverage := scanLicense(text, deep)
	if coverage.Percent < percent {
		return ""
	}
	seen := map[string]bool{}
	var ids []string
	for _, m := range coverage.Match {
		if !seen[m.ID] {
			seen[m.ID] = true
			ids = append(ids, m.ID)
		}
	}
	sort.Strings(ids)
	return strings.Join(ids, " AND ")
}

// both joins two expressions that both hold.
func both(a, b string) string {
	switch {
	case a == "" || a == b:
		return b
	case strings.Contains(" "+a+" ", " "+b+" "):
		return a
	}
	return a + " AND " + b
}
