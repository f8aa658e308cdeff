package cli_test

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/qlora/qlora/internal/hub/hubtest"
)

// startHub gives scripts the command hub. It starts a server with the
// repository owner/model-GGUF, of which these files are in the script's folder
// as well, to compare with: tiny-Q4_0.gguf, tiny-Q8_0.gguf and a split
// big-F16. The token that it wants is hf_secret. owner/gated refuses. With
// the argument "wrong" the content is another than the hashes say, with "hung" it
// never comes.
func startHub(t *testing.T) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := hubtest.New(t, "owner/model-GGUF")
		for i, path := range []string{
			"tiny-Q4_0.gguf", "tiny-Q8_0.gguf", "parts/big-F16-00001-of-00003.gguf",
			"parts/big-F16-00002-of-00003.gguf", "parts/big-F16-00003-of-00003.gguf",
		} {
			content := hubtest.Bytes(int64(i), 300_000+i)
			s.Put(path, content)
			name := path[strings.LastIndexByte(path, '/')+1:]
			ts.Check(os.MkdirAll(ts.MkAbs("want"), 0o755))
			ts.Check(os.WriteFile(ts.MkAbs("want/"+name), content, 0o644))
		}
		s.PutInGit("README.md", []byte("# model\n"))
		s.Change(func() {
			s.Token = "hf_secret"
			s.OnHub = func(w http.ResponseWriter, r *http.Request) bool {
				gated := strings.Contains(r.URL.Path, "owner/gated")
				if gated {
					hubtest.Refuse(w, http.StatusForbidden, "GatedRepo", "Access to model owner/gated is restricted.")
				}
				return gated
			}
			s.OnFile = hubFault(args)
		})
		ts.Setenv("HF_ENDPOINT", s.URL())
	}
}

func hubFault(args []string) func(w http.ResponseWriter, r *http.Request) bool {
	switch strings.Join(args, " ") {
	case "wrong":
		return func(w http.ResponseWriter, r *http.Request) bool {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(hubtest.Bytes(99, 300_000)))
			return true
		}
	case "hung":
		return func(w http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		}
	}
	return nil
}
