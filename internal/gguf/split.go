package gguf

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// Metadata keys of a split model.
const (
	SplitNoKey      = "split.no"
	SplitCountKey   = "split.count"
	SplitTensorsKey = "split.tensors.count"
)

var splitName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// SplitPath names file no (from 0) of count, as llama.cpp does.
func SplitPath(prefix string, no, count int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, no+1, count)
}

// openRest opens the other files of a split model, when path is the first of
// several, and checks that they belong together.
func (f *File) openRest(path string) error {
	count, split := f.Uint(SplitCountKey)
	m := splitName.FindStringSubmatch(path)
	if m == nil {
		if split && count > 1 {
			return fmt.Errorf("%s is one of %d files of a split model, but is not named NAME-00001-of-%05d.gguf", path, count, count)
		}
		return nil
	}
	no, _ := strconv.Atoi(m[2])
	total, _ := strconv.Atoi(m[3])
	if !split && total == 1 {
		return nil
	}
	if !split || count != uint64(total) {
		return fmt.Errorf("%s: its name says %d files, its %s says %d", path, total, SplitCountKey, count)
	}
	if no != 1 {
		return fmt.Errorf("%s is file %d of a split model: open the first, %s", path, no, SplitPath(m[1], 0, total))
	}
	if n, ok := f.Uint(SplitNoKey); ok && n != 0 {
		return fmt.Errorf("%s: %s is %d, want 0", path, SplitNoKey, n)
	}
	return f.openShards(m[1], total)
}

func (f *File) openShards(prefix string, total int) error {
	for no := 1; no < total; no++ {
		path := SplitPath(prefix, no, total)
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("file %d of %d of a split model is missing: %w", no+1, total, err)
		}
		h, err := f.addShard(path)
		if err != nil {
			return err
		}
		if err := checkShard(path, h, no, total); err != nil {
			return err
		}
	}
	return f.checkTensorCount()
}

// checkShard holds a later file's metadata to its place.
func checkShard(path string, h *header, no, total int) error {
	want := map[string]uint64{SplitNoKey: uint64(no), SplitCountKey: uint64(total)}
	for _, kv := range h.kvs {
		w, ok := want[kv.Key]
		if !ok {
			continue
		}
		if got, ok := toUint(kv.Value); !ok || got != w {
			return fmt.Errorf("%s: %s is %v, want %d", path, kv.Key, kv.Value, w)
		}
		delete(want, kv.Key)
	}
	for key := range want {
		return fmt.Errorf("%s: metadata key %s is missing", path, key)
	}
	return nil
}

func (f *File) checkTensorCount() error {
	want, ok := f.Uint(SplitTensorsKey)
	if ok && want != uint64(len(f.tensors)) {
		return fmt.Errorf("%s: %s is %d, but its files hold %d tensors", f.paths[0], SplitTensorsKey, want, len(f.tensors))
	}
	return nil
}
