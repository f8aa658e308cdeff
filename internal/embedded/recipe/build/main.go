// Command build writes the embedded model's corpus as JSON lines.
//
//	go run ./internal/embedded/recipe/build -o data/corpus
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/qlora/qlora/internal/embedded/recipe"
)

func main() {
	goroot := flag.String("goroot", "", "the Go installation to read (default: what go env GOROOT says)")
	out := flag.String("o", "data/corpus", "the folder to write")
	flag.Parse()
	if err := run(*goroot, *out); err != nil {
		fmt.Fprintf(os.Stderr, "build: error: %v\n", err)
		os.Exit(1)
	}
}

func run(goroot, out string) error {
	if goroot == "" {
		b, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return fmt.Errorf("ask go for GOROOT: %w", err)
		}
		goroot = strings.TrimSpace(string(b))
	}
	if err := recipe.CheckVersion(goroot); err != nil {
		return err
	}
	files, err := recipe.Files(goroot)
	if err != nil {
		return err
	}
	corpus, err := recipe.Build(files)
	if err != nil {
		return err
	}
	if err := corpus.Write(out); err != nil {
		return err
	}
	fmt.Printf("%s: %d texts, %d fill-in-the-middle records, %d conversations, %d files held out\n",
		out, len(corpus.Texts), len(corpus.FIMs), len(corpus.Chats), len(corpus.HeldOut))
	return nil
}
