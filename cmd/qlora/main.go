// Command qlora fine-tunes GGUF models with low-rank adapters.
package main

import (
	"os"

	"github.com/qlora/qlora/internal/cli"
	"github.com/qlora/qlora/internal/ui"
)

func main() { os.Exit(cli.Main(os.Args[1:], ui.System())) }
