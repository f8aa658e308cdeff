package ggml

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/abitest"
)

func TestQ8ProductAgainstPlainSum(t *testing.T) {
	program, err := os.ReadFile("testdata/q8_product.c")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(abitest.Compile(t, string(program), []string{"-O1", "-I.", "-lm"})).Output()
	if err != nil {
		t.Fatalf("run the program: %v\n%s", err, out)
	}
	switch said := strings.TrimSpace(string(out)); said {
	case "":
	case "no AVX-512 VNNI":
		t.Skip("this processor has no AVX-512 VNNI: ggml's own product is used")
	default:
		t.Error(said)
	}
}
