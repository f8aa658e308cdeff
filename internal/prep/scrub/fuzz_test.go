package scrub

import (
	"testing"
	"unicode/utf8"
)

// FuzzClean: cleaning ends, is idempotent and keeps valid UTF-8 valid.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "api_key=q8Zx7Lw2Rt5Yp9Vb3Nm6Kj4H", "a://b:c0d1e2@h", "/home/ada/x a.b@c.de", "<redacted-0123456789>", "-----BEGIN PRIVATE KEY-----"} {
		f.Add(seed)
	}
	s := mustNew(f, Options{IPs: true})
	f.Fuzz(func(t *testing.T, text string) {
		got := s.Clean(text, nil)
		if s.Clean(got, nil) != got {
			t.Error("cleaning twice changes the text")
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Error("valid UTF-8 became invalid")
		}
	})
}
