//go:build keep

package cli

import (
	_ "github.com/NVIDIA/go-nvml/pkg/nvml"
	_ "github.com/dlclark/regexp2"
	_ "github.com/dustin/go-humanize"
	_ "github.com/joho/godotenv"
	_ "github.com/nikolalohinski/gonja/v2"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "golang.org/x/sys/unix"
	_ "gopkg.in/yaml.v3"
)
