package scrub

import (
	"encoding/base64"
	"strings"
	"sync"
)

// ownRule is a rule of this package: what gitleaks' rules miss or find only
// when a token is whole.
type ownRule struct {
	tomlRule
	accept func(secret string) bool
	inText func(text string, start, from, to int) bool
}

func own(id, description, regex string, accept func(string) bool, keywords ...string) ownRule {
	return ownRule{tomlRule{ID: id, Description: description, Regex: regex, Keywords: keywords}, accept, nil}
}

// assignedOwn are the rules of the table whose keywords are followed by an
// operator in every match.
var assignedOwn = []string{"password", "secret-key-quoted", "authorization"}

// hexID is the rule for hex digits, whose entropy is often below what the
// generic rule asks for.
const hexID = "hex-secret"

var ownHex = ownRule{tomlRule{ID: hexID, Description: "hex digits that are assigned to the name of a secret",
	Regex:    `(?i)[\w.-]{0,40}(?:secret|token|api[_.-]?key|passw(?:or)?d|auth|credential)[\w.-]{0,20}["']?[ \t]{0,3}(?:=>?|:=?)[ \t]{0,3}["']?([0-9a-f]{32,128})(?:["'\s;,&\\]|$)`,
	Keywords: []string{"secret", "token", "apikey", "api_key", "api-key", "api.key", "passw", "auth", "credential"}}, random, genericHolds}

var ownTable = []ownRule{
	own("anthropic-token", "Anthropic key, also cut", `\bsk-ant-[\w-]{20,}`, random, "sk-ant-"),
	own("openai-token", "key in the form sk-..., also cut", `\bsk-[\w-]{20,}`, mixed, "sk-"),
	own("google-token", "Google API key, also cut", `\bAIza[\w-]{30,}`, mixed, "aiza"),
	own("google-oauth", "Google OAuth client secret or access token", `\b(?:GOCSPX-[\w-]{24,}|ya29\.[\w-]{20,})`, random, "gocspx-", "ya29."),
	own("groq-token", "Groq key", `\bgsk_[A-Za-z0-9]{20,}`, random, "gsk_"),
	own("xai-token", "xAI key", `\bxai-[A-Za-z0-9]{40,}`, random, "xai-"),
	own("huggingface-token", "Hugging Face token, also cut", `\bhf_[A-Za-z0-9]{20,}`, upperAndLower, "hf_"),
	own("replicate-token", "Replicate token", `\br8_[A-Za-z0-9]{30,}`, random, "r8_"),
	own("github-token", "GitHub token, also cut", `\bgh[pousr]_[A-Za-z0-9]{16,}`, random, "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
	own("github-fine-grained-token", "GitHub fine-grained token, also cut", `\bgithub_pat_\w{20,}`, random, "github_pat_"),
	own("npm-token", "npm token, also cut", `\bnpm_[A-Za-z0-9]{20,}`, random, "npm_"),
	own("pypi-token", "PyPI token, also cut", `\bpypi-[\w-]{20,}`, mixed, "pypi-"),
	own("slack-token", "Slack token", `\bxox[a-z]-[\w-]{10,}`, slackLike, "xoxb-", "xoxp-", "xoxs-", "xoxa-", "xoxr-", "xoxe-", "xoxc-", "xoxd-"),
	own("supabase-token", "Supabase token", `\b(?:sbp_[a-f0-9]{40}|sb_secret_[\w-]{20,})`, random, "sbp_", "sb_secret_"),
	own("figma-token", "Figma token", `\bfigd_[\w-]{30,}`, random, "figd_"),
	own("discord-webhook", "Discord webhook", `discord(?:app)?\.com/api/webhooks/\d{15,20}/([\w-]{30,})`, nil, "/api/webhooks/"),
	own("telegram-token", "Telegram bot token", `\b(\d{8,10}:AA[\w-]{32,34})`, nil, ":aa"),
	own("mailchimp-key", "Mailchimp key", `\b([0-9a-f]{32}-us\d{1,2})\b`, nil, "-us"),
	own("jwt-part", "JSON web token, also cut, unsigned or encrypted", `\beyJ[\w-]{8,}\.[\w-]{20,}(?:\.[\w-]*){0,3}`, jwtLike, "eyj"),
	own("mailgun-token", "Mailgun key", `\bkey-[0-9a-f]{32}\b`, random, "key-"),
	own("new-relic-token", "New Relic key", `\bNR(?:AK|AA|RA|II|JS)-[A-Za-z0-9_-]{19,}`, random, "nrak-", "nraa-", "nrra-", "nrii-", "nrjs-"),
	own("contentful-token", "Contentful token", `\bCFPAT-[\w-]{30,}`, mixed, "cfpat-"),
	own("sonar-token", "SonarQube token", `\bsq[upa]_[0-9a-f]{40}\b`, random, "squ_", "sqp_", "sqa_"),
	own("square-token", "Square secret or access token", `\bsq0(?:csp|atp)-[\w-]{22,}`, mixed, "sq0csp-", "sq0atp-"),
	own("lob-token", "Lob key", `\b(?:live|test)_[0-9a-f]{35}\b`, random, "live_", "test_"),
	own("sentry-token", "Sentry token", `\bsntry[su]_[\w+/=-]{30,}`, random, "sntrys_", "sntryu_"),
	own("laravel-key", "application key of Laravel", `\bAPP_KEY=base64:([A-Za-z0-9+/]{40,}={0,2})`, mixed, "app_key=base64:"),
	own("secret-key-hex", "key in the form sk-... of hex digits", `\bsk-(?:[a-z]{2}-v\d-)?[0-9a-f]{32,}`, random, "sk-"),
	own("dropbox-token", "Dropbox token", `\bsl\.[\w-]{100,}`, mixed, "sl."),
	own("asana-token", "Asana token", `\b(?:1/|2/)\d{12,20}(?:/\d{12,20})?:([0-9a-f]{32})\b`, nil, "1/", "2/"),
	own("cloudinary-secret", "secret of a Cloudinary address", `\bcloudinary://\d{10,20}:([\w-]{20,})`, nil, "cloudinary://"),
	own("mapbox-token", "Mapbox secret token", `\bsk\.eyJ[\w-]{20,}(?:\.[\w-]+)?`, mixed, "sk.eyj"),
	own("secret-key-quoted", "secret key in quotes, with punctuation", `(?i)secret_?key(?:_base)?["']?[ \t]{0,3}(?:=>?|:=?)[ \t]{0,3}(?:"([^"\s]{30,200})"|'([^'\s]{30,200})')`, signingKey, "secret_key", "secretkey"),
	own("authorization", "token in an Authorization header", `(?i)\bauthorization["']?[ \t]{0,3}[:=][ \t]{0,3}["']?(?:token|api-?key|key|ghapikey|sso-key)[ \t]{1,3}(?:token=)?["']?([\w.~+/:=-]{20,})`, random, "authorization"),
	own("password-element", "password in an XML element", `(?i)<(?:\w{0,20})(?:password|passwd|passphrase|secret)>([^<>\s]{8,80})</`, passwordLike, "password>", "passwd>", "passphrase>", "secret>"),
	own("sshpass", "password given to sshpass", `\bsshpass[ \t]+-p[ \t]*["']?([^\s"']{6,80})`, notSample, "sshpass"),
	own("pgpass", "password of a .pgpass line", `[\w.*-]{1,80}:5432:[\w.*-]{1,60}:[\w.*-]{1,60}:([^\s:"']{8,80})`, notSample, ":5432:"),
	own("bitbucket-token", "Bitbucket app password", `\bATBB[A-Za-z0-9]{28,}`, mixed, "atbb"),
	own("url-signature", "signature of a URL that opens a stored object", `[?&]X-(?:Amz|Goog)-Signature=([0-9a-f]{64,})`, nil, "-signature="),
	own("password-argument", "password in quotes that is given to a call", `(?i)(?:password|passphrase)["']?[ \t]?[(,][ \t]{0,2}(?:"([^"\s]{8,80})"|'([^'\s]{8,80})')[ \t]{0,2}[),]`, argumentLike, "password", "passphrase"),
	own("url-token", "token or key in the query of a URL", `(?i)[?&](?:access_?token|refresh_?token|id_?token|auth_?token|token|api_?key|key|secret|client_?secret|auth|password|pwd)=([\w.~%+/-]{16,}={0,2})`, mixedOrHex,
		"token=", "key=", "secret=", "auth=", "password=", "pwd="),
	ownHex,
	own("bearer-token", "token after Bearer", `(?i)\bbearer[ \t]{1,3}([\w.~+/=-]{16,})`, mixed, "bearer"),
	own("basic-auth", "user and password after Basic", `(?i)\bbasic[ \t]{1,3}([A-Za-z0-9+/]{8,}={0,2})`, userAndPassword, "basic"),
	own("docker-auth", "user and password of a registry", `"auth"[ \t]*:[ \t]*"([A-Za-z0-9+/]{8,}={0,2})"`, userAndPassword, `"auth"`),
	own("aws-secret-key", "AWS secret access key", `(?i)secret[ _-]?(?:access[ _-]?)?key["']?[ \t]*(?:=>?|:=?|,|\s)[ \t]*["']?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)`, mixed, "secret"),
	own("azure-account-key", "Azure account or access key", `(?i)(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,}={0,2})`, mixed, "accountkey", "sharedaccesskey"),
	own("azure-sas", "signature of an Azure URL", `[?&]sig=([A-Za-z0-9%+/=]{40,})`, mixed, "?sig=", "&sig="),
	own("netrc-password", "password of a .netrc line", `(?i)\bmachine\s+\S+\s+login\s+\S+\s+password\s+(\S{6,})`, notSample, "machine"),
	own("session-cookie", "session of a cookie", `(?i)\b(?:session(?:_?id)?|sid|connect\.sid|PHPSESSID|JSESSIONID|sessionToken)=([\w%.+/=-]{20,})`, mixedOrHex, "session", "sid=", "sessid="),
	own("password", "password that is assigned in quotes", `(?i)(?:password|passwd|passphrase|pwd)["']?[ \t]{0,3}(?:=>?|:=?)[ \t]{0,3}(?:"([^"\s]{8,80})"|'([^'\s]{8,80})')`, passwordLike, "password", "passwd", "passphrase", "pwd"),
	own("password-line", "password in an environment file or connection string", `(?i)(?:password|passwd|passphrase|pwd|_pass)=([^\s"';&,()<>{}\[\]$]{8,80})(?:["';&\r\n]|$)`, passwordLike, "password=", "passwd=", "passphrase=", "pwd=", "_pass="),
}

// ownRules prepares the table.
var ownRules = sync.OnceValues(func() ([]*rule, error) {
	var rules []*rule
	for _, o := range ownTable {
		r, err := newRule(o.tomlRule)
		if err != nil {
			return nil, err
		}
		r.accept, r.inText = o.accept, o.inText
		rules = append(rules, r)
	}
	return rules, nil
})

// random tells a token from words: it has digits and many different
// characters.
func random(s string) bool { return hasDigit(s) && entropy(s) > 3 && !samplePassword(s) }

// mixed asks for digits and both cases as well, which identifiers of code and
// style sheets seldom have.
func mixed(s string) bool { return random(s) && upperAndLower(s) }

func upperAndLower(s string) bool { return hasUpper(s) && hasLower(s) && entropy(s) > 3 }

func mixedOrHex(s string) bool { return mixed(s) || random(s) && isHex(s) }

// slackLike asks for more than the counted digits with which manuals show the
// form of a Slack token.
func slackLike(s string) bool { return hasDigit(s) && !counted(s[5:]) && !digitsOnly(s[5:]) }

func digitsOnly(s string) bool { return strings.Trim(s, "0123456789-") == "" }

// jwtLike tells whether the first part of s is the header of a token: JSON that
// names an algorithm or a type.
func jwtLike(s string) bool {
	header, _, _ := strings.Cut(s, ".")
	plain, err := base64.RawURLEncoding.DecodeString(header)
	return err == nil && (strings.Contains(string(plain), `"alg"`) || strings.Contains(string(plain), `"typ"`))
}

func notSample(s string) bool { return !samplePassword(s) && !strings.Contains(s, `\`) }

// passwordLike asks for what a person or a generator puts into a password and
// code that computes one has not.
func passwordLike(s string) bool {
	classes := 0
	for _, has := range []bool{hasDigit(s), hasLower(s), hasUpper(s), strings.ContainsAny(s, "!@#%^&*+=?~-_")} {
		if has {
			classes++
		}
	}
	return classes >= 3 && hasDigit(s) && entropy(s) > 2.5 && !samplePassword(s) && !strings.ContainsAny(s, "()[]{}<>$\\")
}

// argumentLike is stricter: paths are arguments too.
func argumentLike(s string) bool {
	return passwordLike(s) && hasLower(s) && !strings.ContainsAny(s, "/:")
}

// signingKey is looser than passwordLike, since frameworks draw all signs.
func signingKey(s string) bool {
	return hasDigit(s) && entropy(s) > 3.5 && !samplePassword(s) && !strings.ContainsAny(s, "{}\\")
}

// userAndPassword tells whether s is base64 of printable text with a colon.
func userAndPassword(s string) bool {
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return false
	}
	user, password, ok := strings.Cut(string(plain), ":")
	printable := strings.IndexFunc(user+password, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	return ok && printable && !wordAlone(password) && !samplePassword(password)
}
