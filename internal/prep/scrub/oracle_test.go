package scrub

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/report"
)

// oracle is gitleaks itself.
func oracle(t *testing.T) *detect.Detector {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled)
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	d.IgnoreGitleaksAllow = true
	return d
}

// TestAgreesWithGitleaks: what gitleaks finds, apart from what this package
// refuses on purpose, must be gone after cleaning. The same run prints both
// speeds.
func TestAgreesWithGitleaks(t *testing.T) {
	const seed = 11
	d, s := oracle(t), mustNew(t, Options{})
	texts := samples(t, goSource(t), 2<<20, ".go")
	p := planter{rand.New(rand.NewPCG(seed, 0))}
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	plain := len(texts)
	for range 5 {
		for _, plant := range plants {
			for _, around := range surroundings {
				_, written := plant.make(p)
				texts = append(texts, strings.Replace(around, "%s", written, 1))
			}
		}
	}
	found, left := 0, map[string]int{}
	var theirs, ours time.Duration
	for i, text := range texts {
		start := time.Now()
		findings := d.DetectString(text)
		middle := time.Now()
		got := s.Clean(text, nil)
		if i < plain {
			theirs, ours = theirs+middle.Sub(start), ours+time.Since(middle)
		}
		for _, f := range findings {
			if refused(text, f) {
				continue
			}
			found++
			if strings.Contains(got, f.Secret) {
				left[f.RuleID]++
			}
		}
	}
	t.Logf("%d findings; Go source: gitleaks %.1f MB/s, Clean %.1f MB/s", found, mbps(size, theirs), mbps(size, ours))
	if len(left) > 0 || found < 500 {
		t.Errorf("seed %d: of %d findings, left by rule: %v", seed, found, left)
	}
}

func mbps(n int, d time.Duration) float64 { return float64(n) / 1e6 / d.Seconds() }

// refused is where this package differs by intention: names of code, values
// that were made up or are no secret, and key headers without a key.
func refused(text string, f report.Finding) bool {
	if isPublished(f.Secret) || f.RuleID == pemRule.id && !keyLike(f.Secret) {
		return true
	}
	match := strings.Trim(f.Match, "\n")
	start, from := strings.Index(text, match), strings.Index(match, f.Secret)
	return f.RuleID == genericID && !genericHolds(text, start, start+from, start+from+len(f.Secret))
}
