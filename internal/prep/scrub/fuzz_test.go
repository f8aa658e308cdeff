package scrub

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

var fuzzSeeds = []string{
	"", "api_key=q8Zx7Lw2Rt5Yp9Vb3Nm6Kj4H", "a://b:c0d1e2@h", "/home/ada/x a.b@c.de", "<redacted-0123456789>", "-----BEGIN PRIVATE KEY-----",
	"zz_q8Zx7Lw2Rt5Yp9Vb3Nm6Kj4HaB", "token: \"00112233445566778899aabbccddeefe\"", "eyJhbGciOiJIUzI1NiJ9.q8Zx7Lw2Rt5Yp9Vb3Nm6Kj4H.", `C:\Users\Ada B\x`, "?key=q8Zx7Lw2Rt5Yp9Vb%20",
}

// FuzzClean: cleaning ends, is idempotent, keeps valid UTF-8 valid and leaves
// no secret that it found.
func FuzzClean(f *testing.F) {
	for _, seed := range fuzzSeeds {
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
		if left := leftOver(s, text, got); left != "" {
			t.Errorf("a secret of rule %s is left", left)
		}
	})
}

// FuzzCleanJSON: JSON stays JSON, with strings that are those of the input,
// cleaned, and what is not JSON is refused.
func FuzzCleanJSON(f *testing.F) {
	for _, seed := range fuzzSeeds {
		value, err := json.Marshal(map[string]any{"a": []any{seed, 1.5, nil}, seed: true})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(value))
	}
	f.Add(`"api_key=\u0071\u0038Zx7Lw2Rt5Yp9Vb3Nm6Kj4H\ud83d"`)
	f.Add(`{"a":"\`)
	s := mustNew(f, Options{IPs: true})
	f.Fuzz(func(t *testing.T, value string) {
		got, err := s.CleanJSON([]byte(value), nil)
		if valid := json.Valid([]byte(value)); valid != (err == nil) {
			t.Fatalf("valid: %t, error: %v", valid, err)
		}
		if err != nil {
			return
		}
		want, have := stringsOf(t, []byte(value)), stringsOf(t, got)
		if len(want) != len(have) {
			t.Fatalf("%d strings became %d", len(want), len(have))
		}
		for i := range want {
			if s.Clean(want[i], nil) != have[i] {
				t.Errorf("string %d is not what Clean makes of it", i)
			}
		}
	})
}
