package scrub

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const (
	lowers  = "abcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
	hexes   = "0123456789abcdef"
	alnum   = lowers + digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	base64s = alnum + "+/"
	urlSafe = alnum + "_-"
)

// planter makes secrets; nothing of them is stored in the source.
type planter struct{ *rand.Rand }

func (p planter) of(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[p.IntN(len(alphabet))]
	}
	return string(b)
}

// plant is a kind of secret: what must vanish, and how it is written.
type plant struct {
	kind string
	make func(p planter) (secret, written string)
}

func token(kind, prefix, alphabet string, n int) plant {
	return plant{kind, func(p planter) (string, string) {
		s := p.of(alphabet, n)
		return s, prefix + s
	}}
}

// named is a secret that only its name gives away.
func named(kind, name, alphabet string, n int) plant {
	return plant{kind, func(p planter) (string, string) {
		s := p.of(alphabet, n)
		return s, name + "=" + s
	}}
}

func connection(kind, scheme string) plant {
	return plant{kind, func(p planter) (string, string) {
		s := p.of(alnum, 14)
		return s, scheme + "://svc_app:" + s + "@db7.corp.net:5432/main"
	}}
}

func pem(kind, label string, cut bool) plant {
	return plant{kind, func(p planter) (string, string) {
		lines := make([]string, 8)
		for i := range lines {
			lines[i] = p.of(base64s, 64)
		}
		text := "-----BEGIN " + label + "-----\n" + strings.Join(lines, "\n") + "\n"
		if !cut {
			text += "-----END " + label + "-----"
		}
		return lines[7], text
	}}
}

var plants = []plant{
	token("aws access key", "AKIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
	named("aws secret key", "aws_secret_access_key", base64s, 40),
	token("github token", "ghp_", alnum, 36), token("github oauth", "gho_", alnum, 36), token("github app", "ghs_", alnum, 36),
	token("github fine-grained", "github_pat_", alnum, 82), token("github cut", "ghp_", alnum, 20),
	token("gitlab", "glpat-", alnum, 20), token("npm", "npm_", alnum, 36), token("pypi", "pypi-AgEIcHlwaS5vcmc", urlSafe, 90),
	token("anthropic", "sk-ant-api03-", urlSafe, 93), token("anthropic cut", "sk-ant-api03-", urlSafe, 30),
	token("openai", "sk-proj-", alnum, 60), token("hugging face", "hf_", alnum, 34), token("groq", "gsk_", alnum, 52),
	token("google", "AIza", urlSafe, 35), token("google oauth", "GOCSPX-", alnum, 28), token("stripe", "sk_live_", alnum, 24),
	token("slack user", "xoxp-123456789012-123456789012-123456789012-", hexes, 32), token("slack bot", "xoxb-123456789012-123456789012-", alnum, 24),
	token("slack webhook", "https://hooks.slack.com/services/", alnum, 44), token("discord webhook", "https://discord.com/api/webhooks/123456789012345678/", urlSafe, 68),
	token("telegram", "712345678:AA", urlSafe, 33), token("twilio", "SK", hexes, 32), token("sendgrid", "SG.", alnum, 66),
	token("digitalocean", "dop_v1_", hexes, 64), token("shopify", "shpat_", hexes, 32), token("linear", "lin_api_", alnum, 40),
	token("postman", "PMAK-0123456789abcdef01234567-", hexes, 34), token("databricks", "dapi", hexes, 32), token("grafana", "glc_", base64s, 60),
	named("generic key", "API_KEY", alnum, 32), named("generic secret", "CLIENT_SECRET", alnum, 40), named("password", "DB_PASSWORD", alnum+"!@#%", 18),
	named("azure account key", "AccountKey", base64s, 86), token("bearer", "Authorization: Bearer ", alnum, 40),
	{"basic", func(p planter) (string, string) {
		s := base64.StdEncoding.EncodeToString([]byte("svc:" + p.of(alnum, 12)))
		return s, "Authorization: Basic " + s
	}},
	{"jwt", func(p planter) (string, string) {
		s := p.of(urlSafe, 43)
		return s, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI" + p.of(alnum, 30) + "." + s
	}},
	connection("postgres", "postgres"), connection("mongodb", "mongodb+srv"), connection("redis", "redis"), connection("https", "https"),
	pem("rsa key", "RSA PRIVATE KEY", false), pem("openssh key", "OPENSSH PRIVATE KEY", false), pem("cut key", "PRIVATE KEY", true),
	{"email", func(p planter) (string, string) { s := p.of(lowers, 9); return s, s + "@" + p.of(lowers, 6) + ".io" }},
	{"home", func(p planter) (string, string) { s := p.of(lowers, 8); return s, "/home/" + s + "/src/main.go" }},
	{"mac home", func(p planter) (string, string) { s := p.of(lowers, 8); return s, "/Users/" + s + "/src/main.go" }},
	{"windows home", func(p planter) (string, string) { s := p.of(lowers, 8); return s, `C:\Users\` + s + `\src` }},
}

// surroundings are the places in which people leave secrets.
var surroundings = []string{
	"# settings\nDEBUG=1\n%s\nPORT=8080\n",
	"{\"name\": \"svc\", \"value\": \"%s\", \"on\": true}",
	"func main() {\n\tv := \"%s\"\n\trun(v)\n}\n",
	"def main():\n    v = '%s'\n    run(v)\n",
	"curl -s -H \"X-Note: %s\" https://api.corp.net/v1/items | jq .",
	"2026-01-02T03:04:05Z INFO start %s\n2026-01-02T03:04:06Z INFO ready\n",
	"I put %s into the file, can you look?",
}

func TestPlantedSecrets(t *testing.T) {
	const seed, rounds = 7, 20
	s := mustNew(t, Options{})
	p := planter{rand.New(rand.NewPCG(seed, 0))}
	missed, total := map[string]int{}, 0
	for range rounds {
		for _, plant := range plants {
			for i, around := range surroundings {
				secret, written := plant.make(p)
				text := fmt.Sprintf(around, written)
				got := s.Clean(text, nil)
				total++
				if strings.Contains(got, secret) {
					missed[fmt.Sprintf("%s, place %d", plant.kind, i)]++
				}
				if s.Clean(got, nil) != got {
					t.Errorf("seed %d: %s, place %d: cleaning twice changes the text", seed, plant.kind, i)
				}
			}
		}
	}
	lost := 0
	for _, n := range missed {
		lost += n
	}
	t.Logf("%d kinds, %d of %d redacted", len(plants), total-lost, total)
	if len(plants) < 40 || float64(lost) > 0.05*float64(total) {
		t.Errorf("seed %d: %d of %d missed: %v", seed, lost, total, missed)
	}
	t.Log(missed)
}
