package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Suffixes of the two files of a download that is under way.
const (
	PartSuffix    = ".part"
	JournalSuffix = ".part.journal"
)

// ErrBusy says that another process has the same download in hand.
var ErrBusy = errors.New("another process is fetching this file")

// journal is the file of chunks that are on the disk: a header line in JSON, then
// the number of a chunk on each line. A chunk is written down after its bytes
// were synced, so what is in the journal survives a crash and a loss of power.
type journal struct {
	dst        string
	part, file *os.File
	head       journalHead

	mu   sync.Mutex
	done []bool
}

// journalHead says which content the chunks are of.
type journalHead struct {
	Version int    `json:"version"`
	Repo    string `json:"repo"`
	Path    string `json:"path"`
	Commit  string `json:"commit"`
	Pin     string `json:"pin"` // SHA-256 or ETag
	Size    int64  `json:"size"`
	Chunk   int64  `json:"chunk"` // bytes of one, but for the last
}

func headOf(m Meta, chunk int64) journalHead {
	return journalHead{Version: 1, Repo: m.Repo, Path: m.Path, Commit: m.Commit, Pin: m.pin(), Size: m.Size, Chunk: chunk}
}

// fits is whether what was fetched under h is of the content under other.
func (h journalHead) fits(other journalHead) bool {
	return h.Version == other.Version && h.Pin != "" && h.Pin == other.Pin && h.Size == other.Size && h.Chunk > 0
}

func (h journalHead) chunks() int { return int((h.Size + h.Chunk - 1) / h.Chunk) }

// bounds are the first byte of chunk i and the one after its last.
func (h journalHead) bounds(i int) (from, end int64) {
	from = int64(i) * h.Chunk
	return from, min(from+h.Chunk, h.Size)
}

// openJournal goes on with the download to dst, or starts one. The word is what
// to tell about an earlier one that could not be used.
func openJournal(dst string, m Meta, chunk int64) (j *journal, word string, err error) {
	j = &journal{dst: dst, head: headOf(m, chunk)}
	defer func() {
		if err != nil {
			err = &diskError{errors.Join(err, j.close())}
		}
	}()
	if j.file, err = openLocked(dst + JournalSuffix); err != nil {
		return j, "", err
	}
	if j.part, err = os.OpenFile(dst+PartSuffix, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return j, "", err
	}
	text, err := os.ReadFile(dst + JournalSuffix)
	if err != nil {
		return j, "", err
	}
	head, done, good := parseJournal(text)
	info, err := j.part.Stat()
	switch {
	case err != nil:
		return j, "", err
	case len(text) == 0 && info.Size() > 0:
		word = "there is a partial file without a journal"
	case len(text) == 0:
	case head.Version == 0:
		word = "the journal of an earlier download cannot be read"
	case !head.fits(j.head):
		word = "the file on the hub is another than the one whose download began earlier"
	case info.Size() != head.Size:
		word = "the partial file of an earlier download is not there any more"
	default:
		j.head, j.done = head, done
		return j, "", j.file.Truncate(good)
	}
	return j, word, j.start()
}

// openLocked opens a file that one process at a time may hold.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !stillThere(f, path) {
		err = ErrBusy
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// stillThere is false when the holder before us finished and removed the file.
func stillThere(f *os.File, path string) bool {
	ours, err1 := f.Stat()
	now, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(ours, now)
}

// start makes both files those of a download with no chunk yet. The journal is
// emptied first: it must never speak of chunks that the other file lacks.
func (j *journal) start() error {
	if err := errors.Join(j.file.Truncate(0), j.file.Sync()); err != nil {
		return fmt.Errorf("start %s: %w", j.file.Name(), err)
	}
	j.done = make([]bool, j.head.chunks())
	if err := errors.Join(j.part.Truncate(0), j.part.Truncate(j.head.Size), j.part.Sync()); err != nil {
		return fmt.Errorf("start %s: %w", j.part.Name(), err)
	}
	line, err := json.Marshal(j.head)
	if err != nil {
		return fmt.Errorf("start %s: %w", j.file.Name(), err)
	}
	_, err = j.file.Write(append(line, '\n'))
	return errors.Join(err, j.file.Sync(), syncDir(filepath.Dir(j.dst)))
}

// restart begins anew with another content.
func (j *journal) restart(m Meta) error {
	j.head = headOf(m, j.head.Chunk)
	if err := j.start(); err != nil {
		return &diskError{err}
	}
	return nil
}

// parseJournal reads up to the first line that is torn or wrong; good is where
// that begins. A head of version 0 means that nothing could be read.
func parseJournal(text []byte) (head journalHead, done []bool, good int64) {
	line, rest, whole := bytes.Cut(text, []byte("\n"))
	if !whole || json.Unmarshal(line, &head) != nil || head.Size < 0 || head.Chunk <= 0 || head.Size/head.Chunk > 1<<24 {
		return journalHead{}, nil, 0
	}
	done = make([]bool, head.chunks())
	for good = int64(len(line) + 1); ; good += int64(len(line) + 1) {
		line, rest, whole = bytes.Cut(rest, []byte("\n"))
		i, err := strconv.Atoi(string(line))
		if !whole || err != nil || i < 0 || i >= len(done) {
			return head, done, good
		}
		done[i] = true
	}
}

// finish writes down that chunk i is on the disk.
func (j *journal) finish(i int) error {
	if err := j.part.Sync(); err != nil {
		return &diskError{fmt.Errorf("write %s: %w", j.part.Name(), err)}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := j.file.WriteString(strconv.Itoa(i) + "\n")
	if err = errors.Join(err, j.file.Sync()); err != nil {
		return &diskError{fmt.Errorf("write %s: %w", j.file.Name(), err)}
	}
	j.done[i] = true
	return nil
}

// missing are the chunks that are still to be fetched.
func (j *journal) missing() []int {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []int
	for i, done := range j.done {
		if !done {
			list = append(list, i)
		}
	}
	return list
}

func (j *journal) missingBytes() int64 {
	var n int64
	for _, i := range j.missing() {
		from, end := j.head.bounds(i)
		n += end - from
	}
	return n
}

// publish gives the finished file its name.
func (j *journal) publish() error {
	err := errors.Join(j.part.Sync(), os.Rename(j.part.Name(), j.dst))
	if err == nil {
		err = errors.Join(syncDir(filepath.Dir(j.dst)), os.Remove(j.file.Name()))
	}
	if err != nil {
		return &diskError{fmt.Errorf("finish %s: %w", j.dst, err)}
	}
	return nil
}

// discard removes both files.
func (j *journal) discard() error {
	return errors.Join(os.Remove(j.file.Name()), os.Remove(j.part.Name()))
}

// close lets go of the files and of the lock.
func (j *journal) close() error {
	var errs []error
	for _, f := range []*os.File{j.part, j.file} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Missing is how many bytes of m a download to dst has still to fetch.
func Missing(dst string, m Meta) (int64, error) {
	text, err := os.ReadFile(dst + JournalSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return m.Size, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the journal of a download: %w", err)
	}
	head, done, _ := parseJournal(text)
	if !head.fits(headOf(m, 1)) {
		return m.Size, nil
	}
	j := journal{head: head, done: done}
	return j.missingBytes(), nil
}

// Free is the number of bytes that may be written to the file system of dir.
func Free(dir string) (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("ask how much is free in %s: %w", dir, err)
	}
	return int64(disk.Bavail) * int64(disk.Bsize), nil
}
