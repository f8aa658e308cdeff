package cli_test

import (
	"bytes"
	"os"
	"strconv"
)

// repeatFile is a command of the scripts: repeat N FROM TO writes TO, which is
// FROM N times.
func repeatFile() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	content, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(os.Args[3], bytes.Repeat(content, n), 0o644); err != nil {
		panic(err)
	}
}
