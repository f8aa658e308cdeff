// Package scrub removes secrets and personal data from text: the credentials
// that gitleaks' rules describe, connection strings, private keys, tokens,
// e-mail addresses and the names of home directories.
//
// It works on decoded text, never on JSON: an escaped line end would be taken
// for part of a secret. A replacement depends on the secret and the options
// only, so that texts which were equal before are equal after, whatever their
// order, shard or worker. Nothing it returns, logs or reports holds a value.
//
// The rules are gitleaks' own (github.com/zricethezav/gitleaks), run by an
// engine made for long runs over much text: one pass finds the literals that
// every match of a rule contains, and an expression is tried only there.
package scrub

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zricethezav/gitleaks/v8/config"
)

// Options of a Scrubber. The zero value masks what the built-in rules find.
type Options struct {
	Seed  uint64   // part of the key of replacements
	Key   string   // further part, to be kept secret where texts hold guessable secrets
	Extra []string // lines of a --redact-extra file; see ParseExtra
	IPs   bool     // public IPv4 addresses too; version numbers can look like them
}

// ID names the options without telling them: the same rules and replacements
// have the same ID.
func (o Options) ID() string {
	h := hmac.New(sha256.New, []byte(o.Key))
	fmt.Fprintf(h, "%d %t %q", o.Seed, o.IPs, o.Extra)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// rulesVersion counts the changes to what this package finds and writes, apart
// from those of gitleaks' rules; TestRulesVersion tells when it must rise.
const rulesVersion = 1

// Rules names what this build finds and writes: texts that were cleaned with
// equal options under equal rules agree.
func Rules() string {
	sum := sha256.Sum256([]byte(config.DefaultConfig))
	return fmt.Sprintf("scrub %d, gitleaks %x", rulesVersion, sum[:4])
}

// Scrubber cleans texts; it is safe for concurrent use.
type Scrubber struct {
	rules      []*rule
	triggers   []trigger
	machine    *automaton
	everywhere []*rule // rules without a literal, tried on whole texts
	naming     naming
	scans      sync.Pool
}

// New prepares a Scrubber. It fails when an extra pattern cannot be used.
func New(o Options) (*Scrubber, error) {
	library, err := gitleaksRules()
	if err != nil {
		return nil, err
	}
	own, err := ownRules()
	if err != nil {
		return nil, err
	}
	extra, err := extraRules(o.Extra)
	if err != nil {
		return nil, err
	}
	s := &Scrubber{naming: newNaming(o.Seed, o.Key)}
	for _, r := range slices.Concat(library, own, extra) {
		s.add(r)
	}
	s.addDetectors(o)
	s.build()
	return s, nil
}

// Rule describes one rule of a Scrubber.
type Rule struct {
	ID          string `json:"id"`
	Description string `json:"description"`
}

// Rules lists the rules by id.
func (s *Scrubber) Rules() []Rule {
	var list []Rule
	for _, r := range s.rules {
		list = append(list, Rule{r.id, r.description})
	}
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(list, func(a, b Rule) bool { return a.ID == b.ID })
}

// Clean returns text with every secret replaced, and adds the number of
// replacements to counts, by rule id; counts may be nil. Text without a secret
// is returned as it is. Cleaning a cleaned text changes nothing.
func (s *Scrubber) Clean(text string, counts map[string]int) string {
	sc := s.scans.Get().(*scan)
	defer s.scans.Put(sc)
	for {
		spans := s.find(sc, text)
		if len(spans) == 0 {
			return text
		}
		text = s.replace(text, spans, counts)
	}
}

// find returns the secrets of text in order, without overlaps. Replacements
// of an earlier pass are boundaries: nothing is found in or across them, so
// that each pass leaves less to find and the last finds nothing.
func (s *Scrubber) find(sc *scan, text string) []span {
	var all []span
	eachPiece(text, func(from int, piece string) {
		sc.reset()
		s.scanText(sc, piece)
		for _, found := range sc.spans {
			all = append(all, span{from + found.start, from + found.end, found.rule})
		}
	})
	if len(all) == 0 {
		return nil
	}
	return everyOccurrence(text, join(all))
}

// join merges overlapping spans; the name that stays is the more telling one.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(a.rule.index, b.rule.index))
	})
	out := spans[:1]
	for _, next := range spans[1:] {
		last := &out[len(out)-1]
		if next.start >= last.end {
			out = append(out, next)
			continue
		}
		last.end = max(last.end, next.end)
		if next.rule.outranks(last.rule) {
			last.rule = next.rule
		}
	}
	return out
}

// outranks prefers rules that name a service over the generic one.
func (r *rule) outranks(o *rule) bool {
	return strings.Contains(o.id, "generic") && !strings.Contains(r.id, "generic") && !r.personal()
}

// everywhereFrom is the length in bytes from which a secret is replaced
// wherever it occurs in the text, not only where its surroundings gave it away.
// Shorter ones may be ordinary words.
const everywhereFrom = 8

// everyOccurrence adds the other occurrences of the secrets found, outside
// earlier replacements.
func everyOccurrence(text string, spans []span) []span {
	known := map[string]*rule{}
	for _, sp := range spans {
		if !sp.rule.personal() && sp.end-sp.start >= everywhereFrom {
			known[text[sp.start:sp.end]] = sp.rule
		}
	}
	all := slices.Clone(spans)
	eachPiece(text, func(from int, piece string) {
		for secret, r := range known {
			for at := 0; ; {
				i := strings.Index(piece[at:], secret)
				if i < 0 {
					break
				}
				all = append(all, span{from + at + i, from + at + i + len(secret), r})
				at += i + len(secret)
			}
		}
	})
	return join(all)
}

// replace writes text with the spans replaced.
func (s *Scrubber) replace(text string, spans []span, counts map[string]int) string {
	var b strings.Builder
	b.Grow(len(text))
	from := 0
	for _, sp := range spans {
		b.WriteString(text[from:sp.start])
		b.WriteString(s.naming.of(sp.rule, text[sp.start:sp.end]))
		from = sp.end
		if counts != nil {
			counts[sp.rule.id]++
		}
	}
	b.WriteString(text[from:])
	return b.String()
}
