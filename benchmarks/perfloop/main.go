// Perfloop measures libllama with a loop in C, for comparison with
// "qlora test perf": benchmarks/perf_loop.sh runs both in turns.
//
//	perfloop MODEL.gguf PROMPT GENERATE ROUNDS THREADS
package main

// #include <stdlib.h>
// #include "loop.h"
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	_ "github.com/qlora/qlora/internal/llama" // links libllama
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "perfloop: error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("usage: perfloop MODEL.gguf PROMPT GENERATE ROUNDS THREADS")
	}
	var n [4]C.int
	for i := range n {
		v, err := strconv.Atoi(args[i+1])
		if err != nil {
			return fmt.Errorf("read argument %d: %w", i+2, err)
		}
		n[i] = C.int(v)
	}
	path := C.CString(args[0])
	defer C.free(unsafe.Pointer(path))
	if C.perf_loop(path, n[0], n[1], n[2], n[3]) != 0 {
		return fmt.Errorf("libllama could not run %s", args[0])
	}
	return nil
}
