package stats

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/qlora/qlora/internal/prep"
)

// sampleReport is the report of two files, one of which spells markup and
// control characters where names are expected.
func sampleReport(t *testing.T) *Report {
	t.Helper()
	var long strings.Builder
	for i := range 400 {
		fmt.Fprintf(&long, "{\"text\":%q,\"lang\":\"go\"}\n", strings.Repeat("word ", 1+i*i/20))
	}
	long.WriteString(`{"text":"x","source":"<script>alert(1)</script>\u001b[31m","lang":"\"><img src=x>"}` + "\n")
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{"mixed.jsonl": mixed, "long.jsonl": long.String()} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Run(context.Background(), Options{Paths: []string{"mixed.jsonl", "long.jsonl"}, Encoder: byteEncoder{}, Model: "m.gguf"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// golden compares text with a file under testdata; -update writes it.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs; the output is\n%s", filepath.Base(path), text)
	}
}

// folder is testdata, as an absolute path: tests change their folder.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTextGoldens(t *testing.T) {
	dir := folder(t)
	r := sampleReport(t)
	for name, o := range map[string]TextOptions{
		"ascii_80.txt":  {Width: 80, ASCII: true},
		"blocks_60.txt": {Width: 60},
		"brief_100.txt": {Width: 100, ASCII: true, Brief: true},
	} {
		var b strings.Builder
		if err := r.WriteText(&b, o); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join(dir, name), b.String())
		if strings.ContainsRune(b.String(), '\x1b') {
			t.Errorf("%s: an escape sequence from the data reaches the terminal", name)
		}
		if o.ASCII && strings.ContainsRune(strings.ReplaceAll(b.String(), "\ufffd", ""), '█') {
			t.Errorf("%s: not ASCII", name)
		}
	}
}

// TestSVGIsXML parses the picture and counts what its bars stand for.
func TestSVGIsXML(t *testing.T) {
	r := sampleReport(t)
	var b bytes.Buffer
	if err := r.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	checkXML(t, b.Bytes())
	title := regexp.MustCompile(`<title>[0-9,-]+ tokens: ([0-9,]+) samples?</title>`)
	var sum int64
	for _, m := range title.FindAllStringSubmatch(b.String(), -1) {
		var n int64
		if _, err := fmt.Sscan(strings.ReplaceAll(m[1], ",", ""), &n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != r.All.Samples {
		t.Errorf("bars stand for %d samples of %d", sum, r.All.Samples)
	}
}

func checkXML(t *testing.T, text []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, text)
		}
	}
}

// voidElements have no end tag in HTML.
var voidElements = map[string]bool{"meta": true, "wbr": true, "br": true, "img": true, "link": true, "input": true}

// TestHTMLStandsAlone parses the page: its elements close in order, nothing is
// loaded from elsewhere, no script runs, and names from data stay text.
func TestHTMLStandsAlone(t *testing.T) {
	r := sampleReport(t)
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	z := html.NewTokenizer(bytes.NewReader(b.Bytes()))
	var open []string
	seen := map[string]int{}
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			if !errors.Is(z.Err(), io.EOF) {
				t.Fatal(z.Err())
			}
			break
		}
		token := z.Token()
		switch kind {
		case html.StartTagToken:
			seen[token.Data]++
			if !voidElements[token.Data] {
				open = append(open, token.Data)
			}
			for _, a := range token.Attr {
				if a.Key == "src" || a.Key == "href" || strings.HasPrefix(a.Key, "on") || strings.Contains(a.Val, "url(") {
					t.Errorf("<%s> has %s=%q", token.Data, a.Key, a.Val)
				}
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> closes %v", token.Data, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("never closed: %v", open)
	}
	for _, name := range []string{"script", "link", "img", "iframe"} {
		if seen[name] > 0 {
			t.Errorf("the page has <%s>", name)
		}
	}
	if seen["svg"] != 2 || !strings.Contains(b.String(), "prefers-color-scheme:dark") {
		t.Errorf("%d pictures, want 2, for light and dark", seen["svg"])
	}
	if strings.Contains(strings.ReplaceAll(b.String(), "http://www.w3.org/2000/svg", ""), "://") {
		t.Error("the page names something elsewhere")
	}
}

func TestHTMLOfOneSample(t *testing.T) {
	path := write(t, "one.jsonl", `{"text":"a"}`+"\n")
	r, err := Run(context.Background(), Options{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "new", "r.html")
	if err := r.WriteFile(out); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteFile(filepath.Join(filepath.Dir(out), "r.svg")); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(filepath.Dir(out), "*"))
	if err != nil || len(names) != 2 {
		t.Errorf("files %v, %v: want the two reports and nothing else", names, err)
	}
}

func TestCheckReport(t *testing.T) {
	for path, ok := range map[string]bool{"": true, "a.html": true, "a.HTM": true, "b.svg": true, "c.pdf": false, "html": false} {
		if err := CheckReport(path); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestLineErrorNamesThePlace(t *testing.T) {
	err := &LineError{Problem: prep.Problem{File: "a", Line: 3, Reason: "r"}, Err: io.EOF}
	if err.Error() != "a:3: r" || !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}
