package scrub

import (
	"strings"
	"testing"
)

func mustNew(t testing.TB, o Options) *Scrubber {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCleanReplaces(t *testing.T) {
	s := mustNew(t, Options{Extra: []string{"Project Falcon"}})
	for _, c := range []struct{ rule, text, secret string }{
		{"connection-string", "DATABASE_URL=postgres://app:v9Kq2mX7@db.corp.net:5432/x", "v9Kq2mX7"},
		{"github-pat", "token ghp_" + "a8Fk2LmQ9zXw7RtY4vBn6CjH1sDp3GuE5oTi", "a8Fk2LmQ9zXw7RtY4vBn6CjH1sDp3GuE5oTi"},
		{"github-token", "cut: ghp_" + "a8Fk2LmQ9zXw7RtY4v…", "a8Fk2LmQ9zXw7RtY4v"},
		{"generic-api-key", `api_key = "q8Zx7Lw2Rt5Yp9Vb3Nm6Kj4H"`, "q8Zx7Lw2Rt5Yp9Vb3Nm6Kj4H"},
		{"email", "From: Ada <ada.byron@analytical.io>", "ada.byron"},
		{"home-directory", "/home/adabyron/src/a.go", "adabyron"},
		{"home-directory", `C:\Users\Ada Byron\Desktop`, "Ada Byron"},
		{"home-directory", "-home-adabyron-src-engine/1f.jsonl", "adabyron"},
		{"home-directory", "claude/-Users-adabyron-src-engine/1f.jsonl", "adabyron"},
		{"home-directory", "C--Users-adabyron-src-engine/1f.jsonl", "adabyron"},
		{"extra", "about project falcon", "falcon"},
	} {
		counts := map[string]int{}
		got := s.Clean(c.text, counts)
		if strings.Contains(got, c.secret) || counts[c.rule] == 0 {
			t.Errorf("%s: counted %v, or the secret is left", c.rule, counts)
		}
		if again := s.Clean(got, nil); again != got {
			t.Errorf("%s: cleaning twice changes the text", c.rule)
		}
	}
}

// TestExtraInAnyCase: that a text is found in any case holds beyond ASCII.
func TestExtraInAnyCase(t *testing.T) {
	s := mustNew(t, Options{Extra: []string{"Müller", "Ünal GmbH", "Ян", "ab", "Łódź"}})
	for _, text := range []string{"Müller", "MÜLLER", "mÜller", "ünal gmbh", "ÜNAL GMBH", "Ян", "ян", "ЯН", "AB", "łÓdź", "ŁÓDŹ"} {
		if got := s.Clean("of "+text+" here", nil); strings.Contains(got, text) {
			t.Errorf("%s is left", text)
		}
	}
	if text := "Mueller in Lodz, and il ler"; s.Clean(text, nil) != text {
		t.Errorf("%s became %s", text, s.Clean(text, nil))
	}
}
