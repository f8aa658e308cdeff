package shard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A part of two records, and the first and last line of its keys.
const (
	partText = "{\"n\": 1}\n{\"n\": 3}\n"
	keysHead = `{"format":"qlora-shard","version":1,"command":"c","index":1,"count":1,"options":"0"}` + "\n"
	keysFoot = `{"records":2,"duplicates":0,"bytes":18,"sha256":"86d993bc43a3f84505d27fd23804e48d8cbdb5a7fe67114d42c973873eaf04e1"}` + "\n"
)

// FuzzKeys reads any bytes as the keys of a part. What is accepted must be
// written as it was read, and sort as places do.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(keysHead + `["a","x",0,9]` + "\n" + `["c","",-1,9]` + "\n" + keysFoot))
	f.Add([]byte(keysHead + `["a\u0000","\ud800",9223372036854775807,1]` + "\n"))
	f.Add([]byte(keysHead + `["a",1]` + "\n" + keysFoot))
	f.Add([]byte(keysHead + `[]` + "\n{}"))
	f.Fuzz(func(t *testing.T, keys []byte) {
		r, err := newKeysReader(bytes.NewReader(keys), "keys")
		if err != nil {
			return
		}
		for number := int64(0); ; number++ {
			e, err := r.next()
			if err != nil {
				if errors.Is(err, io.EOF) == (r.footer == nil) {
					t.Fatalf("error %v, footer %v", err, r.footer)
				}
				return
			}
			line, err := keyLine(e.Key, e.size)
			var again entry
			if err = errors.Join(err, again.UnmarshalJSON(line)); err != nil || again != e {
				t.Fatalf("%+v is read back as %+v, %v", e, again, err)
			}
			at := place{order: e.Order, part: 3, number: number}
			if part, n := placeOf(appendClaim(nil, e.Key, at)); part != 3 || n != number {
				t.Fatalf("record %d of part 3 became %d of part %d", number, n, part)
			}
		}
	})
}

// FuzzMerge reads any bytes as the keys of a part. A merge must end, and may
// write only what the part's bytes bear out.
func FuzzMerge(f *testing.F) {
	f.Add([]byte(keysHead + `["a","x",0,9]` + "\n" + `["c","",-1,9]` + "\n" + keysFoot))
	f.Add([]byte(keysHead + `["b","x",0,9]` + "\n" + `["a","x",0,9]` + "\n" + keysFoot))
	f.Add([]byte(keysHead + `["a",1]` + "\n" + keysFoot))
	f.Add([]byte(keysHead + `["a","",0,9223372036854775807]` + "\n" + keysFoot))
	f.Add([]byte(`{"format":"qlora-shard","version":1,"index":1,"count":99999999}` + "\n" + keysFoot))
	f.Add([]byte(keysHead))
	f.Fuzz(func(t *testing.T, keys []byte) {
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		for path, text := range map[string]string{in: partText, KeysPath(in): string(keys)} {
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
