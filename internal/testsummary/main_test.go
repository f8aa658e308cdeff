package main

import (
	"strings"
	"testing"
)

const events = `{"Action":"run","Package":"github.com/qlora/qlora/internal/a","Test":"TestGood"}
{"Action":"output","Package":"github.com/qlora/qlora/internal/a","Test":"TestGood","Output":"noise\n"}
{"Action":"pass","Package":"github.com/qlora/qlora/internal/a","Test":"TestGood"}
{"Action":"output","Package":"github.com/qlora/qlora/internal/a","Test":"TestGPU","Output":"=== RUN   TestGPU\n"}
{"Action":"output","Package":"github.com/qlora/qlora/internal/a","Test":"TestGPU","Output":"    gpu_test.go:12: no driver: here\n"}
{"Action":"output","Package":"github.com/qlora/qlora/internal/a","Test":"TestGPU","Output":"--- SKIP: TestGPU (0.00s)\n"}
{"Action":"skip","Package":"github.com/qlora/qlora/internal/a","Test":"TestGPU"}
{"Action":"pass","Package":"github.com/qlora/qlora/internal/a","Elapsed":1.25}
{"Action":"skip","Package":"github.com/qlora/qlora/cmd/qlora"}
`

func TestSummary(t *testing.T) {
	var out strings.Builder
	failed, err := summarise(strings.NewReader(events), &out)
	if failed || err != nil {
		t.Errorf("failed %t, %v", failed, err)
	}
	want := "ok    internal/a  1.2s\n\n1 passed, 0 failed, 1 skipped\nskipped  internal/a TestGPU: no driver: here\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestFailuresAreShown(t *testing.T) {
	cases := []struct{ name, events, want string }{
		{"test", `{"Action":"output","Package":"p","Test":"T","Output":"wrong sum\n"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}`, "wrong sum"},
		{"build", `{"Action":"build-output","ImportPath":"p","Output":"undefined: x\n"}
{"Action":"build-fail","ImportPath":"p"}`, "undefined: x"},
		{"crash outside a test", `{"Action":"output","Package":"p","Output":"panic: boom\n"}
{"Action":"fail","Package":"p"}`, "panic: boom"},
		{"the go command", `go: cannot find main module`, "cannot find main module"},
	}
	for _, c := range cases {
		var out strings.Builder
		failed, err := summarise(strings.NewReader(c.events+"\n"), &out)
		if err != nil || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %v, output %q, want %q", c.name, err, out.String(), c.want)
		}
		if wantFailed := c.name != "the go command"; failed != wantFailed {
			t.Errorf("%s: failed %t", c.name, failed) // there, the go command's own status counts
		}
	}
}
