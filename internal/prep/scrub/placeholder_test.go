package scrub

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestInvented(t *testing.T) {
	for _, s := range []string{
		"password", "P4ssw0rd!", "superS3cret", "my-secret-token", "YOUR_API_KEY_HERE", "test1234", "p%40ssword", "My%20Pass", "changeme123",
		"scott:tiger", "MDEyMzQ1Njc4OWFiY2RlZg==", "zyxwvutsrqponmlkjihgfedcbaZYXWV", "bm90IG15IHBhc3N3b3Jk", "Tm9kZSBSZWRpcw==", "masterkey", "xpassword", "foobared",
		"0123456789abcdef", "abcdefghijkl", "12345678", "xxxxxxxxxxxx", "abcabcabcabc", "deadbeefdeadbeefdeadbeef", "dummy_key_xxxx", "anoncvs",
	} {
		if !invented(s) {
			t.Errorf("%q is taken for a secret", s)
		}
	}
	for _, s := range []string{"v9Kq2mX7", "a8127364512", "Tr0ub4dor&3", "correct.horse.battery", "hunters-moon-77", "bad4c0ffee19aa02"} {
		if invented(s) {
			t.Errorf("%q is taken for a placeholder", s)
		}
	}
}

// TestRandomIsNotInvented: chance makes no placeholder.
func TestRandomIsNotInvented(t *testing.T) {
	const seed = 3
	p := planter{rand.New(rand.NewPCG(seed, 0))}
	wrong := 0
	for range 20000 {
		for _, alphabet := range []string{alnum, hexes, lowers + digits} {
			if invented(p.of(alphabet, 16)) {
				wrong++
			}
		}
	}
	if wrong > 6 {
		t.Errorf("seed %d: %d of 60000 random values are taken for placeholders", seed, wrong)
	}
}

// TestGenericNames: what the name and the surroundings say of one value.
func TestGenericNames(t *testing.T) {
	s := mustNew(t, Options{})
	p := planter{rand.New(rand.NewPCG(5, 0))}
	b := make([]byte, 32)
	for i := range b {
		b[i] = byte(p.IntN(256))
	}
	long, word, other := hex.EncodeToString(b), p.of(alnum, 30), p.of(hexes, 64)
	id := fmt.Sprintf("%s-%s-4%s-a%s-%s", long[:8], long[8:12], long[13:16], long[17:20], long[20:32])
	for _, c := range []struct {
		text string
		goes bool
	}{
		{`API_KEY="` + long + `"`, true},
		{`"auth_token": "` + word + `"`, true},
		{`setenv("AUTH_KEY", "` + word + `")`, true},
		{`SECRET_KEY = '` + id + `'`, true},
		{`key = "` + word + `"`, true},
		{`encryption key: ` + long + "\n", true},
		{`cache_key = "` + id + `"`, false},
		{`public_key = "` + word + `"`, false},
		{`sha256 key = "` + long + `"`, false},
		{"Sec-WebSocket-Key: " + word[:22] + "==\r\n", false},
		{`next_page_token: "` + word + `"`, false},
		{`refresh(auth_func=refresh, source_credentials=` + word[:16] + `)`, false},
		{`"id": "msg_` + word + `"`, false},
		{`"note": "qqz_` + word + `"`, true},
		{`PrivateKey = ed25519.Ed25519PrivateKey` + "\n", false},
		{`strcmp(token, "ciphers_tls1.3")`, false},
		{`def test_` + word + `()`, false},
		{`key: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE` + word + `"`, false},
		{`"lib-api-1.2.min.js": "` + word + `"`, false},
		{`"ClientRequestToken": "` + id + `"`, false},
		{`KeySerialNumber: HexLengthBetween10Or24` + ";", false},
		{`send(password, "/v1/accounts:signIn2A")`, false},
		{`setPassword("` + word[:14] + `")`, true},
		{`#diff-` + word, false},
		{`VERIFICATION_TOKEN=` + word + "\n", true},
		{`verifier_key = "` + word + `"`, false},
		{`put("monkey", "` + word + `")`, false},
		{`key = "` + strings.ToLower(word) + `"`, false},
		{"PrivateKey: \"" + long + "\",\nPeerPublicKey: \"" + other + "\",\nOut: \"" + other + "\",\n", false},
		{"PRIVATE_KEY=" + long + "\nSESSION_SECRET=" + other + "\nJWT_SECRET=" + p.of(hexes, 64) + "\n", true},
	} {
		got := s.Clean(c.text, nil)
		if (got != c.text) != c.goes {
			t.Errorf("redacted: %t, want %t: %s", got != c.text, c.goes, c.text)
		}
	}
}

// TestNotPersonal: what looks like an address or a name and is nobody's.
func TestNotPersonal(t *testing.T) {
	s := mustNew(t, Options{})
	for _, text := range []string{
		"ada@example.com", "bob@mail.example.org", "root@localhost", "noreply@github.com", "1+ada@users.noreply.github.com", "git@github.com:a/b.git",
		"user@gmail.com", "icon@2x.png", "pkg@v1.2.version", "aes256-gcm@openssh.com", "to@-dash.com", "f@.got.plt", "unit@3.service",
		"/home/user/x", "/home/runner/work", "/Users/runner/x", "/home/polls.com/static/", "/home/media/a", "/home/hadoop/x", "/home/path/to/x", "http://john%20doe@www.corp.net/", `C:\Users\Public\x`, "/root/.ssh",
		"the-home-adabyron-x", "run --home-adabyron-x", "-home-user-src/a.jsonl", "-Users-runner-work",
		"postgres://user:pass@localhost/x", "postgres://postgres:password@db.corp.net/x", "redis://:secret@localhost:6379", "https://me:s3cret@host.test/",
		"mysql://scott:tiger@db1/x", "mongodb://val:psw@127.0.0.1/x", "https://ann:moonbeam@localhost:8080/", "Basic QW5uOk1vb25CZWFt", "message://%3c330e7f840905021726r6a4ba78dkf1fd71420c1bf6ff@mail.example.com%3e",
		"postgresql://postgres:airflow@postgres/airflow", "amqp://app:rabbit1@rabbit1:5672",
		"cvs://:pserver:anoncvs@sources.redhat.com:/cvs", "mysql://root:${DB_PASSWORD}@db/x", "amqp://guest:guest@mq:5672",
	} {
		if got := s.Clean(text, nil); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestJSONWebTokens: a token goes whole; the header alone tells nothing.
func TestJSONWebTokens(t *testing.T) {
	s := mustNew(t, Options{})
	p := planter{rand.New(rand.NewPCG(9, 0))}
	body := p.of(urlSafe, 60)
	for _, header := range []string{"eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ"} {
		if got := s.Clean("t="+header+"."+body+"."+p.of(urlSafe, 40)+" x", nil); strings.Contains(got, body) {
			t.Errorf("the token after %s is left", header)
		}
		if text := "assertion=" + header + "."; s.Clean(text, nil) != text {
			t.Errorf("a header alone is taken for a token: %s", header)
		}
	}
}
