package hub

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/hub/hubtest"
)

// BenchmarkDownload fetches 512 MiB from a server in the same process, with the
// journal, all syncs and the hash at the end; plain is one connection into a
// file that is synced once, and no hash.
func BenchmarkDownload(b *testing.B) {
	content := hubtest.Bytes(1, 512<<20)
	s := hubtest.New(b, repo)
	s.Put(name, content)
	s.Change(func() {
		s.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			return true
		}
	})
	c, err := New(Options{Endpoint: s.URL()})
	if err != nil {
		b.Fatal(err)
	}
	m, err := c.Resolve(context.Background(), repo, "main", File{Path: name})
	if err != nil {
		b.Fatal(err)
	}
	dst := filepath.Join(b.TempDir(), name)
	b.Run("pull", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			if _, err := c.Download(context.Background(), m, dst, Watch{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			if err := plain(m.source.String(), dst); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func plain(url, dst string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil {
		return err
	}
	return f.Sync()
}
