package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/hub/hubtest"
)

// childVar makes the test program a process that downloads and may be killed.
const childVar = "QLORA_TEST_HUB_CHILD"

const (
	killSize        = 16<<20 + 12345
	killChunk       = 64 << 10
	killConnections = 4
	kills           = 20
)

// childTask is what such a process is to do.
type childTask struct{ Endpoint, Dst string }

func TestMain(m *testing.M) {
	if text := os.Getenv(childVar); text != "" {
		if err := child(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(text string) error {
	var task childTask
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		return err
	}
	c, err := New(Options{Endpoint: task.Endpoint, Token: secret, ChunkSize: killChunk, Connections: killConnections})
	if err != nil {
		return err
	}
	ctx := context.Background()
	m, err := c.Resolve(ctx, repo, "main", File{Path: name})
	if err != nil {
		return err
	}
	_, err = c.Download(ctx, m, task.Dst, Watch{})
	return err
}

// killer counts what the server sends and tells when a point is reached.
type killer struct {
	*bench
	sent, at atomic.Int64
	reached  chan struct{}
	random   *rand.Rand
}

// TestKilledAndRestarted kills a download with SIGKILL at random points, which
// are numbers of bytes that the server has sent, and once when it has sent the
// last. Each kill may cost a chunk for each connection and no more; in the end
// the file has the right hash.
func TestKilledAndRestarted(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	k := &killer{bench: newBench(t, killSize), reached: make(chan struct{}, 1), random: rand.New(rand.NewSource(seed))}
	k.Change(func() { k.OnPiece = k.count })
	var lost int64
	for range kills {
		lost += k.kill(1+k.random.Int63n(killSize/kills), time.Duration(k.random.Intn(3000))*time.Microsecond)
	}
	missing := killSize - bytesOf(k.journaled())
	if lost += k.kill(missing, 0); t.Failed() {
		return
	}
	k.at.Store(1 << 60)
	if out, err := k.child().CombinedOutput(); err != nil {
		t.Fatalf("the last run: %v: %s", err, out)
	}
	got, err := os.ReadFile(k.dst)
	if err != nil || hubtest.SHA256(got) != hubtest.SHA256(k.content) {
		t.Fatalf("the file is not the hub's: %v", err)
	}
	k.onlyTheFile()
	again := k.Sent(name) - killSize
	t.Logf("%d kills: %d of %d bytes sent again; allowed were %d", kills+1, again, killSize, (kills+1)*killConnections*killChunk)
	if again != lost {
		t.Errorf("%d bytes were sent again, where kills lost %d", again, lost)
	}
}

func (k *killer) count(_ string, n int64) {
	if k.sent.Add(n) < k.at.Load() {
		return
	}
	select {
	case k.reached <- struct{}{}:
	default:
	}
}

// kill starts the download, kills it once the server has sent n bytes, and
// returns how many bytes the server sent in vain.
func (k *killer) kill(n int64, later time.Duration) int64 {
	k.t.Helper()
	had, before := k.journaled(), k.Counts(name)
	k.at.Store(k.sent.Load() + n)
	select {
	case <-k.reached:
	default:
	}
	cmd := k.child()
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	<-k.reached
	time.Sleep(later)
	if err := cmd.Process.Kill(); err != nil {
		k.t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	k.Idle()
	after := k.Counts(name)
	var sent int64
	for i := range after {
		sent += int64(after[i] - before[i])
		if had[i/killChunk] && after[i] != before[i] {
			k.t.Fatalf("byte %d is of a chunk in the journal and was sent again", i)
		}
	}
	lost := sent - (bytesOf(k.journaled()) - bytesOf(had))
	if lost < 0 || lost > killConnections*killChunk {
		k.t.Errorf("a kill lost %d bytes, more than a chunk for each of %d connections", lost, killConnections)
	}
	return lost
}

// child is a download that was not started yet.
func (k *killer) child() *exec.Cmd {
	k.t.Helper()
	task, err := json.Marshal(childTask{Endpoint: k.URL(), Dst: k.dst})
	if err != nil {
		k.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+string(task))
	return cmd
}

// journaled are the chunks that the next run will not fetch.
func (k *killer) journaled() map[int]bool {
	k.t.Helper()
	text, err := os.ReadFile(k.dst + JournalSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.t.Fatal(err)
	}
	_, done, _ := parseJournal(text)
	chunks := map[int]bool{}
	for i, there := range done {
		if there {
			chunks[i] = true
		}
	}
	return chunks
}

func bytesOf(chunks map[int]bool) (n int64) {
	head := journalHead{Size: killSize, Chunk: killChunk}
	for i := range chunks {
		from, end := head.bounds(i)
		n += end - from
	}
	return n
}
