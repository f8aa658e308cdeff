package fim

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/licensecheck"

	"github.com/qlora/qlora/internal/config"
)

// spdxIDs are the identifiers of the SPDX license list 3.27.0.
//
//go:embed spdx.txt
var spdxIDs string

// knownLicenses are the identifiers that a text can be found to have or a tag
// may state, by their lower case.
var knownLicenses = sync.OnceValue(func() map[string]string {
	known := map[string]string{}
	for _, l := range licensecheck.BuiltinLicenses() {
		known[strings.ToLower(l.ID)] = l.ID
	}
	for _, id := range strings.Fields(spdxIDs) {
		known[strings.ToLower(id)] = id
	}
	return known
})

// UnknownLicenseError is a license that was asked for and that no file can be
// under.
type UnknownLicenseError struct {
	ID   string
	Near []string // known ones that may be meant
}

func (e *UnknownLicenseError) Error() string {
	return fmt.Sprintf("unknown license %q: want SPDX identifiers, such as %s", e.ID, strings.Join(commonLicenses, ", "))
}

// checkLicenses refuses what is neither an identifier, with or without a plus,
// nor a name that only tags give.
func checkLicenses(ids []string) error {
	for _, id := range ids {
		name := strings.ToLower(strings.TrimSpace(id))
		known := knownLicenses()[strings.TrimSuffix(name, "+")] != "" || len(name) > len(ownLicense) && strings.HasPrefix(name, ownLicense)
		if !known {
			return &UnknownLicenseError{ID: id, Near: nearLicenses(name)}
		}
	}
	return nil
}

// ownLicense begins identifiers of licenses that are on no list.
const ownLicense = "licenseref-"

// shownLicenses is how many licenses are suggested for one that is not known.
const shownLicenses = 6

// nearLicenses lists known licenses that are spelled like name, as gplv3 is
// like GPL-3.0, the common ones first.
func nearLicenses(name string) []string {
	var near []string
	for _, key := range slices.Sorted(maps.Keys(knownLicenses())) {
		bare := bareLicense(name)
		if len(bare) > 1 && (strings.HasPrefix(bareLicense(key), bare) || config.Distance(key, name) <= len(name)/3) {
			near = append(near, knownLicenses()[key])
		}
	}
	slices.SortStableFunc(near, func(a, b string) int {
		return cmp.Compare(rarity(a), rarity(b))
	})
	return near[:min(len(near), shownLicenses)]
}

// bareLicense leaves what spellings have in common.
var bareLicense = strings.NewReplacer("-", "", ".", "", " ", "", "v", "").Replace

func rarity(id string) int {
	if slices.Contains(commonLicenses, id) {
		return 0
	}
	return 1
}
