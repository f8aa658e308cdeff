package shard

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// FuzzMerge reads any bytes as the keys of a part. A merge must end, and may
// write only what the part's bytes bear out.
func FuzzMerge(f *testing.F) {
	const part = "{\"n\": 1}\n{\"n\": 3}\n"
	head := `{"format":"qlora-shard","version":1,"command":"c","index":1,"count":1,"options":"0"}` + "\n"
	foot := `{"records":2,"duplicates":0,"bytes":18,"sha256":"86d993bc43a3f84505d27fd23804e48d8cbdb5a7fe67114d42c973873eaf04e1"}` + "\n"
	f.Add([]byte(head + `["a","x",0,9]` + "\n" + `["c","",-1,9]` + "\n" + foot))
	f.Add([]byte(head + `["b","x",0,9]` + "\n" + `["a","x",0,9]` + "\n" + foot))
	f.Add([]byte(head + `["a",1]` + "\n" + foot))
	f.Add([]byte(head + `["a","",0,9223372036854775807]` + "\n" + foot))
	f.Add([]byte(`{"format":"qlora-shard","version":1,"index":1,"count":99999999}` + "\n" + foot))
	f.Add([]byte(head))
	f.Fuzz(func(t *testing.T, keys []byte) {
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		for path, text := range map[string]string{in: part, KeysPath(in): string(keys)} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Merge(context.Background(), out, []string{in})
		_, missing := os.Stat(out)
		if (err == nil) != (missing == nil) {
			t.Fatalf("error %v, but output: %v", err, missing)
		}
	})
}
