// Package config reads settings: the .env file, strict YAML, the folders that
// the XDG specification names. A run's own settings are the type Run.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/joho/godotenv"
)

// LoadDotEnv sets the variables of the .env file at path that the environment
// does not have yet. No file is no error. A malformed one is reported without
// its text, since the file is where secrets are kept.
func LoadDotEnv(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	defer f.Close()
	values, err := godotenv.Parse(f)
	if err != nil {
		return fmt.Errorf("read settings from %s: not all lines are KEY=value", path)
	}
	for key, value := range values {
		if _, set := os.LookupEnv(key); set {
			continue
		}
		if err := os.Setenv(key, value); err != nil {
			return fmt.Errorf("set %s from %s: %w", key, path, err)
		}
	}
	return nil
}
