package hub

import (
	"fmt"
	"regexp"
	"strings"
)

// Ref names a model on a hub.
type Ref struct {
	Repo string // OWNER/NAME
	Want string // a quantisation such as Q4_K_M, or a GGUF file of the repository; may be empty
}

// prefixes are what may stand before OWNER/NAME, by the habits of other programs.
var prefixes = []string{"hf://", "hf:", "https://huggingface.co/", "huggingface.co/", "https://hf.co/", "hf.co/"}

// IsRef tells a model on a hub from the path of a file.
func IsRef(text string) bool {
	return cutPrefix(text) != text
}

func cutPrefix(text string) string {
	for _, prefix := range prefixes {
		if strings.HasPrefix(strings.ToLower(text), prefix) {
			return text[len(prefix):]
		}
	}
	return text
}

var repoName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ParseRef reads hf:OWNER/NAME, hf:OWNER/NAME:QUANT and hf:OWNER/NAME:FILE.gguf.
// The prefix may be left out.
func ParseRef(text string) (Ref, error) {
	repo, want, colon := strings.Cut(cutPrefix(text), ":")
	switch {
	case !repoName.MatchString(repo) || strings.Contains(repo, ".."):
		return Ref{}, fmt.Errorf("%q is no model on a hub: write hf:OWNER/NAME or hf:OWNER/NAME:QUANT", text)
	case colon && want == "":
		return Ref{}, fmt.Errorf("%q names no quantisation after its colon", text)
	}
	return Ref{Repo: repo, Want: want}, nil
}

// String is the form that ParseRef reads.
func (r Ref) String() string {
	if r.Want == "" {
		return "hf:" + r.Repo
	}
	return "hf:" + r.Repo + ":" + r.Want
}
