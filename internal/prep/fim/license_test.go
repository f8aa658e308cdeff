package fim

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const mit = `MIT License

Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`

const isc = `Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted, provided that the above
copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM
LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR
OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR
PERFORMANCE OF THIS SOFTWARE.
`

// The nearest statement counts: a tag or a text in the file, a file in its
// folder, one above.
func TestLicenses(t *testing.T) {
	tag := "// SPDX-License-" + "Identifier: "
	dir := tree(t, map[string]string{
		"LICENSE":       mit,
		"a.go":          "package p\n\n" + body(1),
		"tagged.go":     tag + "GPL-2.0-only OR Apache-2.0\n\npackage p\n\n" + body(2),
		"gpl.go":        tag + "GPL-3.0-or-later\n\npackage p\n\n" + body(3),
		"isc.go":        "/*\n" + isc + "*/\n\npackage p\n\n" + body(4),
		"sub/COPYING":   isc,
		"sub/deep/c.go": "package p\n\n" + body(5),
	})
	for _, tt := range []struct {
		allow string
		want  string
		left  int
	}{
		{"", "a.go gpl.go isc.go sub/deep/c.go tagged.go", 0},
		{"MIT", "a.go", 4},
		{"mit,apache-2.0", "a.go tagged.go", 3},
		{"ISC", "isc.go sub/deep/c.go", 3},
	} {
		o := DefaultOptions()
		o.Repos, o.Languages = []string{dir}, []string{"go"}
		if tt.allow != "" {
			o.Licences = strings.Split(tt.allow, ",")
		}
		data, report := convert(t, o)
		var used []string
		for _, r := range decode[Record](t, data) {
			used = append(used, r.Path)
		}
		if got := strings.Join(slices.Compact(used), " "); got != tt.want || report.Left[reasonLicense] != tt.left {
			t.Errorf("allowing %q: used %q, left out %v, want %q", tt.allow, got, report.Left, tt.want)
		}
		if tt.allow == "" && (report.Licences["MIT"] == 0 || report.Licences["ISC"] != 1 || report.Licences["GPL-3.0-or-later"] != 1) {
			t.Errorf("licenses found: %v", report.Licences)
		}
	}
	o := DefaultOptions()
	o.Repos, o.Licences = []string{tree(t, map[string]string{"a.go": "package p\n\n" + body(1), "b.go": tag + "MIT\n\npackage p\n\n" + body(2)})}, []string{"MIT"}
	if _, report := convert(t, o); report.Left[reasonNoLicense] != 1 || report.Used != 1 {
		t.Errorf("without a license: used %d, left out %v", report.Used, report.Left)
	}
}

func TestAllowed(t *testing.T) {
	list := []string{"MIT", "Apache-2.0", "GPL-2.0-only"}
	for expression, want := range map[string]bool{
		"MIT": true, "mit": true, "ISC": false, "": false,
		"MIT OR ISC": true, "ISC OR MIT": true, "MIT AND ISC": false, "MIT and Apache-2.0": true,
		"ISC AND (MIT OR Apache-2.0)": false, "(MIT)": true, "((MIT) AND (ISC OR Apache-2.0))": true,
		"MIT OR ISC AND ISC":                        true, // AND binds first
		"GPL-2.0-only WITH Classpath-exception-2.0": true, "ISC WITH x": false, "GPL-2.0-only WITH": false,
		"MIT OR": false, "OR MIT": false, "(MIT": false, "MIT)": false, "MIT ISC": false, "AND": false,
		strings.Repeat("(", 40) + "MIT" + strings.Repeat(")", 40): false,
	} {
		if got := allowed(expression, list); got != want {
			t.Errorf("allowed(%q) = %t", expression, got)
		}
	}
}

// TestUnknownLicenses: what a text or a tag can say is taken, in any case.
func TestUnknownLicenses(t *testing.T) {
	for _, ids := range [][]string{nil, {"MIT", "apache-2.0"}, {" ISC "}, {"GPL-2.0+"}, {"Unicode-3.0"}, {"GooglePatentsFile"}, {"LicenseRef-Acme"}, commonLicenses} {
		if err := checkLicenses(ids); err != nil {
			t.Errorf("%v: %v", ids, err)
		}
	}
	for id, near := range map[string]string{"bogus": "", "": "", "+": "", "LicenseRef-": "", "MIT OR ISC": "", "Apache2": "Apache-2.0", "GPLv3": "GPL-3.0", "bsd": "0BSD", "Unlicence": "Unlicense"} {
		var unknown *UnknownLicenseError
		if err := checkLicenses([]string{"MIT", id}); !errors.As(err, &unknown) {
			t.Errorf("%q: %v", id, err)
			continue
		}
		if first := strings.Join(unknown.Near[:min(1, len(unknown.Near))], ""); first != near {
			t.Errorf("%q: suggested %v, want %q first", id, unknown.Near, near)
		}
	}
}
