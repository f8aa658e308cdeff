package cli

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/ui"
)

// TestPipesEnd: Ctrl-C ends commands that wait for a pipe to be opened, or for
// more of it, and leaves no file.
func TestPipesEnd(t *testing.T) {
	for _, command := range []string{"prep stats pipe", "prep show pipe --n 9", "prep scrub pipe -o x.jsonl"} {
		for _, opened := range []bool{false, true} {
			t.Chdir(t.TempDir())
			if err := syscall.Mkfifo("pipe", 0o600); err != nil {
				t.Fatal(err)
			}
			if opened {
				w, err := os.OpenFile("pipe", os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				if _, err := w.WriteString("{\"text\":\"a\"}\n"); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			time.AfterFunc(200*time.Millisecond, cancel)
			s, _, errOut := ui.Test()
			if code := execute(ctx, strings.Fields(command), s); code != ui.ExitInterrupted || ctx.Err() != context.Canceled {
				t.Errorf("%s, opened %t: exit code %d: %s", command, opened, code, errOut)
			}
			if left := folder(t); len(left) != 1 {
				t.Errorf("%s: left behind %v", command, left)
			}
		}
	}
}

// TestTrainOnPipe: data that come through a pipe are read once, by one process.
func TestTrainOnPipe(t *testing.T) {
	tinyRun(t)
	text, err := os.ReadFile("train.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	feed := func() {
		if err := os.WriteFile("pipe", text, 0o600); err != nil {
			t.Error(err)
		}
	}
	go feed()
	mustRun(t, tinyArgs("--data", "pipe", "--dry-run")...)
	for _, args := range [][]string{
		{"train", "-m", "base.gguf", "-d", "pipe", "--eval-data", "pipe"},
		{"train", "-m", "base.gguf", "-d", "pipe", "--devices", "cpu,cpu"},
		{"test", "compare", "-m", "base.gguf", "--merged", "base.gguf", "--data", "pipe"},
	} {
		p := start(t, nil, args...)
		if code := p.code(t); code != ui.ExitInvalid || !strings.Contains(p.err.String(), "pipe is a pipe") {
			t.Errorf("%v: exit code %d: %s", args, code, &p.err)
		}
	}
}
