package fim

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/shard"
)

// Convert writes the records of every repository to o.Out, which appears only
// when all went well. Records come in order of repository, path and place. Of
// files with the same content only the first yields records.
func Convert(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	report := newReport(o)
	if err := report.list(ctx, o); err != nil {
		return nil, err
	}
	defer report.close()
	identity, err := o.identity(report.Repos)
	if err != nil {
		return nil, err
	}
	out, err := newSink(o, identity)
	if err != nil {
		return nil, err
	}
	defer out.abort()
	seen := map[string]bool{}
	for i := range report.Repos {
		r := &run{Options: o, report: report, out: out, seen: seen, number: i, repo: report.Repos[i]}
		if err := r.convert(ctx); err != nil {
			return report, err
		}
	}
	if report.Used == 0 && o.Shard.Whole() {
		return report, fmt.Errorf("%w among %s", ErrNothing, english.Plural(report.Files, "file", ""))
	}
	result, err := out.commit(report.Left)
	if err != nil {
		return report, err
	}
	report.Records, report.Duplicates = result.Records, result.Duplicates
	report.OutBytes, report.SHA256 = result.Bytes, result.SHA256
	return report, nil
}

// list finds the files of all repositories.
func (rep *Report) list(ctx context.Context, o Options) error {
	names, err := repoNames(o.Repos)
	if err != nil {
		return err
	}
	var total int64
	for i, dir := range o.Repos {
		l, err := list(ctx, dir, names[i], o.Rev)
		if err != nil {
			rep.close()
			return err
		}
		rep.Repos = append(rep.Repos, l)
		if err := rep.noteLocked(l, o.Strict); err != nil {
			rep.close()
			return err
		}
		l.findLicenses(ctx, len(o.Licences) > 0)
		rep.Files += l.Files
		for _, e := range l.entries {
			total += e.size
		}
	}
	if o.Total != nil {
		o.Total(total)
	}
	return nil
}

// close ends the readers; what they say is of no use any more.
func (rep *Report) close() {
	for _, l := range rep.Repos {
		l.reader.close()
	}
}

// repoNames names each repository after its folder, without the ".git" of a
// bare one. Where two share a name, the later one gets its parent folder's
// name too.
func repoNames(dirs []string) ([]string, error) {
	seen := map[string]string{}
	var names []string
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("find repository %s: %w", dir, err)
		}
		name := filepath.Base(abs)
		if bare := strings.TrimSuffix(name, ".git"); bare != "" {
			name = bare
		} else { // the ".git" inside a working tree
			name = filepath.Base(filepath.Dir(abs))
		}
		if seen[name] != "" && seen[name] != abs {
			name = filepath.Base(filepath.Dir(abs)) + "/" + name
		}
		if other := seen[name]; other != "" {
			return nil, &prep.InputError{Text: fmt.Sprintf("repositories %s and %s would both be named %s", other, dir, name)}
		}
		seen[name] = abs
		names = append(names, name)
	}
	return names, nil
}

// run converts one repository.
type run struct {
	Options
	report *Report
	out    sink
	seen   map[string]bool // contents, by language and hash
	number int             // of the repository
	repo   *Listing
	kept   atomic.Int64 // bytes of text in memory
}

// keptText is how much text of a repository stays in memory between looking
// at its files and cutting them, bytes. The rest is read twice.
const keptText = 256 << 20

// convert looks at the files and cuts those of this shard. When records show
// other files, all are looked at before the first is cut.
func (r *run) convert(ctx context.Context) error {
	files := make([]*file, 0, len(r.repo.entries))
	for _, e := range r.repo.entries {
		files = append(files, &file{entry: e, repo: r.repo})
	}
	var books *library
	if r.Levels.Repo > 0 && (r.Format == FormatFIM || r.Family != "") {
		if err := r.look(ctx, files); err != nil {
			return err
		}
		books = newLibrary(files, r.Options)
	}
	var mine []*file
	for _, f := range files {
		if r.Shard.Owns(r.repo.Repo + "\x00" + f.path) {
			mine = append(mine, f)
		} else if books == nil {
			r.advance(f.size)
		}
	}
	cut := func(f *file) *yield {
		if books == nil {
			f.examine(ctx, r.Options)
		}
		y := harvest(ctx, f, books, r.Options)
		if books == nil {
			f.text = nil
		}
		return y
	}
	return inOrder(ctx, r.Workers, mine, cut, func(y *yield) error {
		if books == nil {
			r.advance(y.size)
		}
		return r.write(y)
	})
}

// look examines all files and remembers what connects them.
func (r *run) look(ctx context.Context, files []*file) error {
	examine := func(f *file) *file {
		f.examine(ctx, r.Options)
		if f.reason == "" && f.err == nil {
			f.imports = findImports(f.lang, f.path, f.text)
			f.sketch = newSketch(f.text)
			if r.kept.Add(int64(len(f.text))) > keptText {
				r.kept.Add(-int64(len(f.text)))
				f.text = nil
			}
		}
		return f
	}
	return inOrder(ctx, r.Workers, files, examine, func(f *file) error {
		r.advance(f.size)
		return nil
	})
}

func (r *run) advance(n int64) {
	if r.Progress != nil {
		r.Progress(n)
	}
}

// write adds what a file yielded to the output and the report.
func (r *run) write(y *yield) error {
	if err := r.failed(y.err); err != nil {
		return fmt.Errorf("read %s of %s: %w", y.path, y.repo.Dir, err)
	}
	if y.err == nil && y.hash != "" && y.reason == "" {
		key := y.lang + "\x00" + y.hash
		if r.seen[key] {
			y.reason = reasonDuplicate
		}
		r.seen[key] = true
	}
	r.report.take(y)
	if y.reason != "" || y.err != nil {
		return nil
	}
	key := shard.Key{Order: fmt.Sprintf("%06d\x00%s", r.number, byteOrder(y.path))}
	for i, record := range y.records {
		key.ID = fmt.Sprintf("%s\x00%s\x00%d", y.lang, y.hash, i)
		if err := r.out.write(key, record); err != nil {
			return err
		}
	}
	return nil
}

// byteOrder spells a path, whose bytes need not be UTF-8, as text that sorts
// as the bytes do and tells all paths apart: each byte becomes the character
// of its number.
func byteOrder(path string) string {
	text := make([]rune, len(path))
	for i := range len(path) {
		text[i] = rune(path[i])
	}
	return string(text)
}

// failed tells which errors of a file end the run.
func (r *run) failed(err error) error {
	if err != nil && (r.Strict || errors.Is(err, context.Canceled)) {
		return err
	}
	return nil
}
