package cli

import (
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionFromBuildInformation(t *testing.T) {
	v := versionInfo{Version: "devel", LlamaCpp: "unknown"}
	v.take(&debug.BuildInfo{
		Main: debug.Module{Version: "(devel)"},
		Deps: []*debug.Module{{Path: "example.com/x", Version: "v1"}, {Path: carrierModule, Version: "v0.17.4"}},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
		},
	})
	want := versionInfo{Version: "devel", Revision: "abc", Date: "2026-01-02T03:04:05Z", Modified: true, LlamaCpp: carrierModule + " v0.17.4"}
	if v != want {
		t.Errorf("%+v, want %+v", v, want)
	}
	v.take(&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}})
	if v.Version != "v1.2.3" {
		t.Errorf("version %s", v.Version)
	}
}

// TestLlamaCommit holds the commit to what the carrier says itself.
func TestLlamaCommit(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", carrierModule).Output()
	if err != nil {
		t.Fatal(err)
	}
	text := string(readBytes(t, filepath.Join(strings.TrimSpace(string(dir)), "llama", "build-info.cpp")))
	if !strings.Contains(text, `LLAMA_COMMIT = "`+llamaCommit+`"`) {
		t.Errorf("the carrier does not track %s:\n%s", llamaCommit, text)
	}
}

// TestStamps sets what a release has the linker set.
func TestStamps(t *testing.T) {
	defer func(version, revision, date, flags string) {
		stampedVersion, stampedRevision, stampedDate, stampedFlags = version, revision, date, flags
	}(stampedVersion, stampedRevision, stampedDate, stampedFlags)
	stampedVersion, stampedRevision, stampedDate, stampedFlags = "v1.0-3-gabc-dirty", "abc", "2026-01-02T03:04:05Z", "-O3"
	v := readVersion()
	if v.Version != stampedVersion || v.Revision != "abc" || v.Date != stampedDate || v.CFlags != "-O3" || !v.Modified {
		t.Errorf("%+v", v)
	}
	if got := versionString(); got != stampedVersion {
		t.Errorf("%q", got)
	}
}
