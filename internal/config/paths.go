package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// CacheDir is the folder for files that can be made again, such as tokenised
// data: $XDG_CACHE_HOME/qlora, or ~/.cache/qlora. It may not exist yet.
func CacheDir() (string, error) { return xdgDir("XDG_CACHE_HOME", ".cache") }

// ConfigDir is the folder for a user's own defaults: $XDG_CONFIG_HOME/qlora,
// or ~/.config/qlora. It may not exist yet.
func ConfigDir() (string, error) { return xdgDir("XDG_CONFIG_HOME", ".config") }

// xdgDir follows the XDG base directory specification, by which a relative
// path in the variable is invalid and ignored.
func xdgDir(variable, fallback string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "qlora"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil || home == "" {
		return "", fmt.Errorf("find a folder for qlora's files: neither %s nor HOME is set: %w", variable, errors.Join(err, os.ErrNotExist))
	}
	return filepath.Join(home, fallback, "qlora"), nil
}
