// Package abitest holds hand-written declarations of a C library to that library's own headers: it compiles one small
// program against each and compares what the two print.
package abitest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Headers returns the compiler flags that find the pinned headers of llama.cpp and ggml.
func Headers(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/ollama/ollama").Output()
	if err != nil {
		t.Fatalf("find the pinned module: %v", err)
	}
	dir := strings.TrimSpace(string(out))
	return []string{"-I" + filepath.Join(dir, "llama/llama.cpp/include"), "-I" + filepath.Join(dir, "ml/backend/ggml/ggml/include")}
}

// Compile builds a C program and returns the binary's path.
func Compile(t *testing.T, program string, flags []string) string {
	t.Helper()
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "p.c"), filepath.Join(dir, "p")
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-std=gnu11", "-Wno-deprecated-declarations", "-o", binary, source}, flags...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("compile against the headers: %v\n%s", err, out)
	}
	return binary
}

// Layout is what a header promises: the fields of structs and the values of constants.
type Layout struct {
	Structs   map[string][]string // by name without "struct"
	Constants []string
}

// Table compiles and runs a program that includes header and returns every size, offset and value, sorted.
func Table(t *testing.T, header string, flags []string, l Layout, spell func(constant string) string) []string {
	t.Helper()
	var p strings.Builder
	fmt.Fprintf(&p, "#include \"%s\"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n", header)
	for name, fields := range l.Structs {
		fmt.Fprintf(&p, "printf(\"%s size %%zu\\n\", sizeof(struct %s));\n", name, name)
		for _, f := range fields {
			fmt.Fprintf(&p, "printf(\"%s.%s offset %%zu size %%zu\\n\", offsetof(struct %s, %s), sizeof(((struct %s *) 0)->%s));\n", name, f, name, f, name, f)
		}
	}
	for _, c := range l.Constants {
		fmt.Fprintf(&p, "printf(\"%s %%lld\\n\", (long long) %s);\n", c, spell(c))
	}
	p.WriteString("return 0;\n}\n")
	out, err := exec.Command(Compile(t, p.String(), flags)).Output()
	if err != nil {
		t.Fatalf("run the program over %s: %v", header, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return lines
}

// Compare fails for each line that the two tables do not share.
func Compare(t *testing.T, ours, pinned []string) {
	t.Helper()
	for _, line := range ours {
		if !slices.Contains(pinned, line) {
			t.Errorf("declared here, not so in the pinned headers: %s", line)
		}
	}
	if len(ours) != len(pinned) || len(ours) == 0 {
		t.Errorf("%d lines here, %d in the pinned headers", len(ours), len(pinned))
	}
}
