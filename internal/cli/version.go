package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ui"
)

// carrierModule is the Go module that carries llama.cpp and ggml.
const carrierModule = "github.com/ollama/ollama"

// llamaCommit is the commit of llama.cpp that the carrier tracks, as its
// llama/build-info.cpp says; build information tells modules alone.
const llamaCommit = "ec98e2002"

// What 'make release' stamps into the binary with the linker's -X, and not by
// the Go tool, which finds a commit in clones but not in other work trees.
var (
	stampedVersion  string // of git describe; ends in -dirty where files were changed
	stampedRevision string
	stampedDate     string
	stampedFlags    string // that the C and C++ code was compiled with
)

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // the commit
	Date     string `json:"date"`     // of the commit, in RFC 3339; empty when it is not known
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	LlamaCpp string `json:"llama_cpp"` // module and version that carry llama.cpp
	Upstream string `json:"llama_cpp_commit"`
	CFlags   string `json:"c_flags"` // of a release; empty otherwise
}

func newVersionCmd(s *ui.Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version of qlora and of the llama.cpp inside",
		Long:    "Version prints what this binary was built from." + exitStatus(ui.ExitOK),
		Example: "  qlora version\n  qlora version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			s.Printf("qlora %s\n", versionString())
			if v.Revision != "" {
				s.Printf("commit %s of %s%s\n", v.Revision, cmp.Or(v.Date, "an unknown day"), modified(v))
			}
			s.Printf("%s %s\n", v.Go, v.Platform)
			s.Printf("llama.cpp %s from %s\n", v.Upstream, v.LlamaCpp)
			if v.CFlags != "" {
				s.Printf("compiled with %s\n", v.CFlags)
			}
			return s.Event("summary", v)
		},
	}
}

// readVersion takes everything but the stamps from the build information that
// the Go tool writes into the binary.
func readVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, LlamaCpp: "unknown", Upstream: llamaCommit}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.take(info)
	}
	v.Version, v.CFlags = cmp.Or(stampedVersion, v.Version), stampedFlags
	v.Revision, v.Date = cmp.Or(stampedRevision, v.Revision), cmp.Or(stampedDate, v.Date)
	v.Modified = v.Modified || strings.HasSuffix(stampedVersion, "-dirty")
	return v
}

func (v *versionInfo) take(info *debug.BuildInfo) {
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.time":
			v.Date = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == carrierModule {
			v.LlamaCpp = dep.Path + " " + dep.Version
		}
	}
}

// setVersionFlag has --version print one line, or with --json what the command
// version does.
func setVersionFlag(root *cobra.Command) {
	cobra.AddTemplateFunc("versionFlag", func(cmd *cobra.Command) (string, error) {
		if asJSON, err := cmd.Flags().GetBool("json"); err != nil || !asJSON {
			return "qlora " + versionString() + "\n", err
		}
		var out strings.Builder
		err := (&ui.Streams{Out: &out, JSON: true}).Event("summary", readVersion())
		return out.String(), err
	})
	root.SetVersionTemplate("{{versionFlag .}}")
}

func versionString() string {
	v := readVersion()
	if v.Revision == "" || v.Version != "devel" {
		return v.Version
	}
	return fmt.Sprintf("%s %.12s%s", v.Version, v.Revision, modified(v))
}

func modified(v versionInfo) string {
	if v.Modified {
		return " (modified)"
	}
	return ""
}
