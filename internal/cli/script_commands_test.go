package cli_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// repeatFile is a command of the scripts: repeat N FROM TO writes TO, which is
// FROM N times.
func repeatFile() {
	n, err := strconv.Atoi(os.Args[1])
	check(err)
	content, err := os.ReadFile(os.Args[2])
	check(err)
	check(os.WriteFile(os.Args[3], bytes.Repeat(content, n), 0o600))
}

// packFile is a command of the scripts: pack FILE [N] writes FILE.gz, or the
// first N bytes of it.
func packFile() {
	content, err := os.ReadFile(os.Args[1])
	check(err)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err = w.Write(content)
	check(errors.Join(err, w.Close()))
	if len(os.Args) > 2 {
		n, err := strconv.Atoi(os.Args[2])
		check(err)
		b.Truncate(n)
	}
	check(os.WriteFile(os.Args[1]+".gz", b.Bytes(), 0o600))
}

// runParts is a command of the scripts: parts N COMMAND... --out FOLDER runs
// the command with --shard I/N for each I, into FOLDER/I.jsonl.
func runParts() {
	n, err := strconv.Atoi(os.Args[1])
	check(err)
	args, folder := os.Args[2:len(os.Args)-1], os.Args[len(os.Args)-1]
	for i := 1; i <= n; i++ {
		out := filepath.Join(folder, fmt.Sprintf("%d.jsonl", i))
		part := append(append([]string{}, args[1:]...), out, "--shard", fmt.Sprintf("%d/%d", i, n))
		cmd := exec.Command(args[0], part...)
		cmd.Stderr = os.Stderr
		check(cmd.Run())
	}
}

// check ends a command of the scripts.
func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
