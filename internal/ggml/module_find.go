package ggml

import (
	"fmt"
	"os"
	"path/filepath"
)

// ModuleFile is the name of the CUDA module, and LibraryPathEnv the variable that names it or its folder.
const (
	ModuleFile     = "libqlora-cuda.so"
	LibraryPathEnv = "QLORA_LIBRARY_PATH"
)

// FindModule looks for the CUDA module where QLORA_LIBRARY_PATH points, and without it beside the binary, in lib/qlora
// next to it, and in ../lib/qlora. Path is empty when it is in none of these; tried names them. The error is
// ErrLibraryPath when the variable is set and wrong.
func FindModule() (path string, tried []string, err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find the CUDA library: %w", err)
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	return findModule(os.Getenv(LibraryPathEnv), filepath.Dir(exe))
}

// findModule does so for a value of the variable and the binary's folder.
func findModule(env, dir string) (path string, tried []string, err error) {
	if env != "" {
		path := env
		if isFolder(path) {
			path = filepath.Join(path, ModuleFile)
		}
		if !isFile(path) {
			return "", []string{path}, fmt.Errorf("%w: there is no file %s", ErrLibraryPath, path)
		}
		return path, []string{path}, nil
	}
	for _, in := range []string{dir, filepath.Join(dir, "lib", "qlora"), filepath.Join(dir, "..", "lib", "qlora")} {
		path := filepath.Join(in, ModuleFile)
		tried = append(tried, in)
		if isFile(path) {
			return path, tried, nil
		}
	}
	return "", tried, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
