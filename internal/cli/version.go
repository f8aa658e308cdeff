package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ui"
)

// carrierModule is the Go module that carries llama.cpp and ggml.
const carrierModule = "github.com/ollama/ollama"

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	LlamaCpp string `json:"llama_cpp"` // module and version that carry llama.cpp
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
			s.Printf("go %s %s\n", v.Go, v.Platform)
			s.Printf("llama.cpp from %s\n", v.LlamaCpp)
			return s.Event("summary", v)
		},
	}
}

// readVersion takes everything from the build information that the Go tool
// stamps into the binary, so no build script has to pass it in.
func readVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, LlamaCpp: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == carrierModule {
			v.LlamaCpp = dep.Path + " " + dep.Version
		}
	}
	return v
}

func versionString() string {
	v := readVersion()
	if v.Revision == "" || v.Version != "devel" {
		return v.Version
	}
	text := fmt.Sprintf("%s %.12s", v.Version, v.Revision)
	if v.Modified {
		text += " (modified)"
	}
	return text
}
