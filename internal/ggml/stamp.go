package ggml

import (
	"crypto/sha256"
	_ "embed" // the headers behind the stamp
	"encoding/hex"
)

var (
	//go:embed ops.h
	opsHeader []byte
	//go:embed ggml_pinned.h
	pinnedHeader []byte
	//go:embed cuda/plugin.h
	pluginHeader []byte
	//go:embed cuda/device.h
	deviceHeader []byte
)

// Stamp identifies the headers that a CUDA module must have been built with: structs cross the boundary by address.
// cuda/stamp.cmake computes the same.
func Stamp() string {
	hashes := ""
	for _, h := range [][]byte{opsHeader, pinnedHeader, pluginHeader, deviceHeader} {
		sum := sha256.Sum256(h)
		hashes += hex.EncodeToString(sum[:])
	}
	sum := sha256.Sum256([]byte(hashes))
	return hex.EncodeToString(sum[:])
}
