package monitor

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// reading collects what a tail hands over.
type reading struct {
	tail   tail
	text   string
	resets int
	long   int
}

func (r *reading) read(t *testing.T) {
	t.Helper()
	err := r.tail.read(func() { r.resets, r.text = r.resets+1, "" }, func(lines string, tooLong int) error {
		if lines != "" && !strings.HasSuffix(lines, "\n") {
			t.Errorf("half a line: %q", lines)
		}
		r.text, r.long = r.text+lines, r.long+tooLong
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newReading(t *testing.T, text string) *reading {
	t.Helper()
	r := &reading{tail: tail{path: filepath.Join(t.TempDir(), "metrics.jsonl")}}
	write(t, r.tail.path, text)
	return r
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// TestTailOfAGrowingFile writes in pieces that end anywhere.
func TestTailOfAGrowingFile(t *testing.T) {
	const seed = 11
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := newReading(t, "")
	whole := ""
	for range 200 {
		piece := strings.Repeat("x", rnd.IntN(30)) + strings.Repeat("\n", rnd.IntN(3)) + strings.Repeat("y", rnd.IntN(5))
		appendTo(t, r.tail.path, piece)
		whole += piece
		r.read(t)
		if want := whole[:strings.LastIndexByte(whole, '\n')+1]; r.text != want {
			t.Fatalf("seed %d: got %d bytes, want %d", seed, len(r.text), len(want))
		}
	}
	if r.resets != 0 {
		t.Errorf("a growing file was taken for another %d times", r.resets)
	}
}

func TestTailOfAFileThatIsReplaced(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"cut off": func(t *testing.T, path string) {
			if err := os.Truncate(path, 2); err != nil {
				t.Fatal(err)
			}
		},
		"renamed over by a longer one": func(t *testing.T, path string) {
			write(t, path+".new", "a\nB\nC\nD\nE\nF\n")
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		},
		"written anew in place, longer": func(t *testing.T, path string) { write(t, path, "another\nfile\naltogether\n") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newReading(t, "a\nb\nc\n")
			r.read(t)
			change(t, r.tail.path)
			r.read(t)
			want, err := os.ReadFile(r.tail.path)
			if err != nil {
				t.Fatal(err)
			}
			if r.resets != 1 || r.text != string(want) {
				t.Errorf("%d resets, text %q, want %q", r.resets, r.text, want)
			}
		})
	}
}

func TestTailPassesOverLongLines(t *testing.T) {
	r := newReading(t, "a\n"+strings.Repeat("z", 3*longestLine)+"\nb\n")
	r.read(t)
	if r.text != "a\nb\n" || r.long != 1 {
		t.Errorf("got %d bytes, %d long lines", len(r.text), r.long)
	}
	if len(r.tail.part) > longestLine {
		t.Errorf("%d bytes are kept", len(r.tail.part))
	}
}

func TestTailRefusesAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	one := tail{path: path}
	if err := one.read(func() {}, nil); err == nil { // it must not wait for a writer either
		t.Error("a pipe is no metrics file")
	}
}
