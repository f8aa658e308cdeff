package archtest

import (
	"bytes"
	"os"
	"testing"
)

// maxLines is where a file has stopped being about one idea.
const maxLines = 700

func TestNoFileOutgrowsOneIdea(t *testing.T) {
	walkSources(t, func(_, path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, more than %d: split it by noun", path, n, maxLines)
		}
	})
}
