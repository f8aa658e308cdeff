// Command testsummary reads what "go test -json" prints on standard input. It
// shows the output of failed tests, one line per package, and at the end every
// skipped test with its reason. It exits 1 when a test or a build failed.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	failed, err := summarise(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

// event is one line of "go test -json"; see "go doc test2json".
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
	Elapsed    float64
}

// key is the test, or the package when Test is empty.
type key struct{ pkg, test string }

type summary struct {
	w       io.Writer
	output  map[key][]string
	skips   []string
	passed  int
	failed  int
	skipped int
	broken  bool // a build, or a package outside its tests
}

func summarise(r io.Reader, w io.Writer) (failed bool, err error) {
	s := &summary{w: w, output: map[key][]string{}}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return true, fmt.Errorf("read test events: %w", err)
		}
	}
	s.finish()
	return s.failed > 0 || s.broken, nil
}

// line passes on what is no event: messages of the go command itself.
func (s *summary) line(text []byte) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		s.w.Write(text)
		return
	}
	k := key{e.Package, e.Test}
	switch e.Action {
	case "output":
		s.output[k] = append(s.output[k], e.Output)
	case "build-output":
		fmt.Fprint(s.w, e.Output)
	case "build-fail":
		s.broken = true
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(e)
		}
		delete(s.output, k)
	}
}

func (s *summary) endTest(e event) {
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
		s.skips = append(s.skips, fmt.Sprintf("%s %s: %s", short(e.Package), e.Test, reason(s.output[key{e.Package, e.Test}])))
	case "fail":
		s.failed++
		fmt.Fprint(s.w, strings.Join(s.output[key{e.Package, e.Test}], ""))
	}
}

func (s *summary) endPackage(e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.w, "ok    %s  %.1fs\n", short(e.Package), e.Elapsed)
	case "fail":
		s.broken = true
		fmt.Fprint(s.w, strings.Join(s.output[key{e.Package, ""}], ""))
		fmt.Fprintf(s.w, "FAIL  %s  %.1fs\n", short(e.Package), e.Elapsed)
	}
}

func (s *summary) finish() {
	fmt.Fprintf(s.w, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	for _, skip := range s.skips {
		fmt.Fprintf(s.w, "skipped  %s\n", skip)
	}
}

// reason is what the test logged before it stopped, without the "file:line: ".
func reason(output []string) string {
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			if _, why, ok := strings.Cut(text, ": "); ok {
				return why
			}
		}
		return line
	}
	return "no reason given"
}

func short(pkg string) string { return strings.TrimPrefix(pkg, "github.com/qlora/qlora/") }
