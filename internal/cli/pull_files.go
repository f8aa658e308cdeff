package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/qlora/qlora/internal/hub"
	"github.com/qlora/qlora/internal/ui"
)

// puller is one call of pull.
type puller struct {
	o       *pullOptions
	s       *ui.Streams
	client  *hub.Client
	began   time.Time
	pending []pullFile
}

// pullFile is one file, as the message `file` tells it once it is there.
type pullFile struct {
	Path         string `json:"path"` // where it is
	Source       string `json:"source"`
	Bytes        int64  `json:"bytes"`
	SHA256       string `json:"sha256,omitempty"`
	Checked      string `json:"checked"` // by which hash, or by its size
	Commit       string `json:"commit,omitempty"`
	State        string `json:"state"` // fetched or present
	ResumedBytes int64  `json:"resumed_bytes"`
	FetchedBytes int64  `json:"fetched_bytes"`
	Restarts     int    `json:"restarts"`

	meta hub.Meta
}

const (
	stateFetched = "fetched"
	statePresent = "present"
)

// note tells of waits and restarts, off the line of the bar.
func (p *puller) note(text string) {
	if p.s.ErrTTY && !p.s.Dumb {
		p.s.Infof("\r\x1b[K")
	}
	p.s.Warnf("%s", text)
}

// plan looks up all files of a model before the first is fetched. The first
// one's commit holds for the others: parts of different commits fit nowhere.
func (p *puller) plan(ctx context.Context, model hub.Model) error {
	revision := p.o.revision
	for _, f := range model.Files {
		path, err := p.o.place(f, len(model.Files) == 1)
		if err != nil {
			return err
		}
		m, err := p.client.Resolve(ctx, p.o.ref.Repo, revision, f)
		if err != nil {
			return err
		}
		if m.Commit != "" && len(model.Files) > 1 {
			revision = m.Commit
		}
		p.pending = append(p.pending, pullFile{Path: path, Source: f.Path, meta: m})
	}
	return p.lookAround(ctx)
}

// lookAround finds files that are there already, and whether the disk has room
// for the others.
func (p *puller) lookAround(ctx context.Context) error {
	dir := filepath.Dir(p.pending[0].Path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var need int64
	for i := range p.pending {
		f := &p.pending[i]
		there, err := p.present(ctx, f)
		if err != nil {
			return err
		}
		if there {
			f.State = statePresent
			continue
		}
		missing, err := hub.Missing(f.Path, f.meta)
		if err != nil {
			return err
		}
		need += missing
	}
	free, err := hub.Free(dir)
	if err != nil {
		return err
	}
	if need > free {
		return ui.Fail(ui.ExitFailure, fmt.Errorf("%s are still to be fetched and %s has %s free", ui.Size(need), dir, ui.Size(free)),
			"free some space, or choose another folder with --out")
	}
	return nil
}

// present is whether the file is there already. Another one of that name stays,
// unless --force says otherwise.
func (p *puller) present(ctx context.Context, f *pullFile) (bool, error) {
	info, err := os.Stat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		return false, ui.Fail(ui.ExitUsage, fmt.Errorf("%s is a folder", f.Path), "choose another place with --out")
	}
	bar := ui.NewProgress(p.s, info.Size(), "check "+filepath.Base(f.Path), "B")
	err = hub.Verify(ctx, f.Path, f.meta, bar.Add)
	bar.Finish()
	var differs *hub.SumError
	if errors.As(err, &differs) && p.o.force {
		return false, nil
	}
	if errors.As(err, &differs) {
		return false, ui.Fail(ui.ExitUsage, fmt.Errorf("another file is in its place: %w", err),
			"replace it with --force, or choose another place with --out")
	}
	return err == nil, err
}

// fetch gets what is not there and reports.
func (p *puller) fetch(ctx context.Context) error {
	for i := range p.pending {
		f := &p.pending[i]
		if f.State == statePresent {
			p.s.Infof("%s is there already, with the right %s\n", f.Path, f.meta.Checked())
		} else if err := p.fetchOne(ctx, f); err != nil {
			return p.failed(err)
		}
		f.Bytes, f.SHA256, f.Commit, f.Checked = f.meta.Size, f.meta.SHA256, f.meta.Commit, f.meta.Checked()
		if f.SHA256 == "" {
			p.s.Warnf("the hub gives no SHA-256 of %s: held to its %s", f.Source, f.Checked)
		}
		if err := p.s.Event("file", f); err != nil {
			return err
		}
	}
	return p.summary()
}

func (p *puller) fetchOne(ctx context.Context, f *pullFile) error {
	bars := pullBars{s: p.s, name: filepath.Base(f.Path)}
	r, err := p.client.Download(ctx, f.meta, f.Path, hub.Watch{Start: bars.start, Bytes: bars.add, Check: bars.check})
	bars.finish()
	f.ResumedBytes, f.FetchedBytes, f.Restarts = r.Resumed, r.Fetched, r.Restarts
	if err != nil {
		return p.keepTalking(err, f)
	}
	f.meta, f.State = r.Meta, stateFetched
	return nil
}

// pullBars shows how a file comes in, then how it is read back for its hash.
type pullBars struct {
	s        *ui.Streams
	name     string
	size     int64
	bar      *ui.Progress
	checking bool
}

func (b *pullBars) start(done, size int64) {
	b.finish()
	b.size = size
	b.bar = ui.NewProgress(b.s, size, b.name, "B")
	b.bar.Set(done)
}

func (b *pullBars) add(n int64) { b.bar.Add(n) }

func (b *pullBars) check(n int64) {
	if !b.checking {
		b.start(0, b.size)
		b.bar.Describe("check " + b.name)
		b.checking = true
	}
	b.bar.Add(n)
}

func (b *pullBars) finish() {
	if b.bar != nil {
		b.bar.Finish()
	}
}

// keepTalking says what an unfinished download left and how to go on.
func (p *puller) keepTalking(err error, f *pullFile) error {
	var wrong *hub.SumError
	switch {
	case errors.As(err, &wrong):
		return ui.Fail(ui.ExitInvalid, err, "what was fetched is removed; run the same command again, or ask who keeps the mirror")
	case errors.Is(err, hub.ErrBusy):
		return ui.Fail(ui.ExitFailure, err, "wait for the other 'qlora pull', or choose another place with --out")
	}
	left, missingErr := hub.Missing(f.Path, f.meta)
	if missingErr != nil || left >= f.meta.Size {
		return err
	}
	hint := fmt.Sprintf("%s of %s are in %s%s; the same command goes on from there", ui.Size(f.meta.Size-left), ui.Size(f.meta.Size), f.Path, hub.PartSuffix)
	if errors.Is(err, context.Canceled) {
		return ui.Fail(ui.ExitInterrupted, fmt.Errorf("fetch %s: interrupted", f.Source), hint)
	}
	return ui.Fail(ui.ExitFailure, err, hint)
}

// pullSummary ends the JSON output of pull.
type pullSummary struct {
	Repo         string     `json:"repo"`
	Revision     string     `json:"revision"`
	Endpoint     string     `json:"endpoint"`
	Path         string     `json:"path"` // to give to -m
	Files        []pullFile `json:"files"`
	Bytes        int64      `json:"bytes"`
	ResumedBytes int64      `json:"resumed_bytes"`
	FetchedBytes int64      `json:"fetched_bytes"`
	Seconds      float64    `json:"seconds"`
}

func (p *puller) summary() error {
	sum := pullSummary{
		Repo: p.o.ref.Repo, Revision: p.o.revision, Endpoint: p.client.Endpoint(), Path: p.pending[0].Path,
		Files: p.pending, Seconds: time.Since(p.began).Seconds(),
	}
	for _, f := range p.pending {
		sum.Bytes += f.Bytes
		sum.ResumedBytes += f.ResumedBytes
		sum.FetchedBytes += f.FetchedBytes
	}
	if sum.FetchedBytes > 0 {
		p.s.Infof("%s fetched in %.1f s, held to the hub's %s\n", ui.Size(sum.FetchedBytes), sum.Seconds, p.pending[0].Checked)
	}
	p.s.Printf("%s\n", sum.Path)
	return p.s.Event("summary", sum)
}
