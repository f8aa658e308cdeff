// Package recipe makes the corpus on which the embedded model is trained and
// tested: the Go standard library's own source and documentation, as it lies in
// GOROOT of the pinned Go release, cut into a training and a held-out part.
//
// Every choice is a pure function of file paths and file contents. Running the
// recipe twice on one Go release gives the same bytes.
package recipe

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// GoVersion is the release line whose standard library the corpus is made of.
const GoVersion = "go1.26"

const (
	// heldOutOneIn is the share of file groups kept from training: one in 50, 2 %.
	heldOutOneIn = 50
	// maxFile is the largest file taken, in bytes; beyond it lie tables.
	maxFile = 256 << 10
	// maxDigits is the largest share of digits in a file taken. Prose and code
	// have under 4 %; tables of constants and test vectors have 20 % and more.
	maxDigits = 0.10
)

// File is one source file of the corpus.
type File struct {
	Path    string // slash-separated, below GOROOT/src
	Text    string
	HeldOut bool
}

// isTest tells a package's tests from its source and its examples.
func isTest(name string) bool {
	return strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(path.Base(name), "example_")
}

// CheckVersion refuses a Go installation of another release than the pinned one.
func CheckVersion(goroot string) error {
	b, err := os.ReadFile(filepath.Join(goroot, "VERSION"))
	if err != nil {
		return fmt.Errorf("read the version of the Go installation: %w", err)
	}
	version, _, _ := strings.Cut(string(b), "\n")
	if version != GoVersion && !strings.HasPrefix(version, GoVersion+".") {
		return fmt.Errorf("the corpus is pinned to %s.x, %s holds %s", GoVersion, goroot, version)
	}
	return nil
}

// Files returns the corpus below goroot/src in path order: the hand-written
// source of the standard library's packages, and their examples. Commands,
// vendored packages, tests, test data, generated files and tables are left out.
func Files(goroot string) ([]File, error) {
	src := os.DirFS(filepath.Join(goroot, "src"))
	var files []File
	err := fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipDir(name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || isTest(name):
			return nil
		}
		text, err := fs.ReadFile(src, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if keep(text) {
			files = append(files, File{Path: name, Text: string(text), HeldOut: heldOut(name)})
		}
		return nil
	})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, err
}

func skipDir(name string) bool {
	switch path.Base(name) {
	case "testdata", "vendor", "_asm":
		return true
	}
	return name == "cmd"
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// keep tells hand-written source from generated files and tables.
func keep(text []byte) bool {
	if len(text) == 0 || len(text) > maxFile || !utf8.Valid(text) || generated.Match(text) {
		return false
	}
	digits := 0
	for _, c := range text {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return float64(digits) <= maxDigits*float64(len(text)) && !bytes.Contains(text, []byte("\t0x"+"00, 0x00, 0x00, 0x00,"))
}

// heldOut assigns a file by its group, so that variants of one file for several
// systems, and a file and its test, never fall on both sides.
func heldOut(name string) bool { return hash("split", group(name))%heldOutOneIn == 0 }

// hash is a stable 64-bit hash of a purpose and a key.
func hash(purpose, key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(purpose + "\x00" + key))
	x := h.Sum64() // FNV's low bits are weak: mix once more (splitmix64's finaliser)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// systems are the file name suffixes that select an operating system, an
// architecture or another build variant.
var systems = map[string]bool{
	"aix": true, "android": true, "darwin": true, "dragonfly": true, "freebsd": true, "illumos": true, "ios": true,
	"js": true, "linux": true, "netbsd": true, "openbsd": true, "plan9": true, "solaris": true, "wasip1": true, "windows": true,
	"386": true, "amd64": true, "arm": true, "arm64": true, "loong64": true, "mips": true, "mips64": true, "mips64le": true,
	"mips64x": true, "mipsle": true, "mipsx": true, "ppc64": true, "ppc64le": true, "ppc64x": true, "riscv64": true,
	"s390x": true, "wasm": true, "64bit": true, "32bit": true, "unix": true, "bsd": true, "libc": true, "other": true, "stub": true,
	"stubs": true, "asm": true, "noasm": true, "generic": true, "cgo": true, "nocgo": true, "test": true, "posix": true,
	"bsdx": true, "on": true, "off": true, "no": true, "race": true, "norace": true, "go": true,
}

// group is the name of a file without its variant suffixes: os/file_unix.go and
// os/file_windows_test.go are both of group os/file.
func group(name string) string {
	dir, base := path.Split(strings.TrimSuffix(name, ".go"))
	parts := strings.Split(base, "_")
	for len(parts) > 1 && systems[parts[len(parts)-1]] {
		parts = parts[:len(parts)-1]
	}
	return dir + strings.Join(parts, "_")
}
