package fim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Record is one fill-in-the-middle sample. Prefix, Middle and Suffix together
// are the bytes of the file from Start on.
type Record struct {
	Prefix   string `json:"prefix"`
	Suffix   string `json:"suffix"`
	Middle   string `json:"middle"`
	Path     string `json:"path"` // relative to the repository, slash-separated
	Lang     string `json:"lang"`
	Repo     string `json:"repo"`
	SpanKind string `json:"span_kind"`
	Start    int    `json:"start"`  // offset of the window in the file, bytes
	SHA256   string `json:"sha256"` // of the whole file
}

// TextRecord is a piece of a file, from byte Start on.
type TextRecord struct {
	Text   string `json:"text"`
	Path   string `json:"path"`
	Lang   string `json:"lang"`
	Repo   string `json:"repo"`
	Start  int    `json:"start"`
	SHA256 string `json:"sha256"`
}

// job is one file to look at.
type job struct {
	dir, repo, path string
	lang            string
	size            int64
	reason          string // already refused
}

// yield is what a file gave.
type yield struct {
	job
	records  []any
	kinds    []string
	middle   int64
	hash     string
	unparsed bool
	err      error // the file could not be read
}

// screen judges a file without opening it.
func screen(l *Listing, path string, o Options) job {
	j := job{dir: l.Dir, repo: l.Repo, path: path, lang: Language(path), reason: rejectPath(path)}
	info, err := os.Lstat(filepath.Join(l.Dir, filepath.FromSlash(path)))
	switch {
	case j.reason != "":
	case err != nil || !info.Mode().IsRegular():
		j.reason = reasonIrregular
	case j.lang == "":
		j.reason = reasonUnknown
	case len(o.Languages) > 0 && !slices.Contains(o.Languages, j.lang):
		j.reason = reasonLanguage
	case info.Size() > o.MaxFile:
		j.reason = reasonTooLong
	case info.Size() < minFile:
		j.reason = reasonTooShort
	}
	if err == nil && j.reason == "" {
		j.size = info.Size()
	}
	return j
}

// harvest makes the records of one file.
func harvest(j job, o Options) *yield {
	y := &yield{job: j}
	if y.reason != "" {
		return y
	}
	src, err := readFile(filepath.Join(j.dir, filepath.FromSlash(j.path)), o.MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		y.reason = reasonIrregular
		return y
	case errors.Is(err, errGrown):
		y.reason = reasonTooLong
		return y
	case err != nil:
		y.err = err
		return y
	}
	if y.reason = rejectContent(src, j.lang); y.reason != "" {
		return y
	}
	sum := sha256.Sum256(src)
	y.hash = hex.EncodeToString(sum[:])
	if o.Format == FormatText {
		y.texts(src, o)
	} else {
		y.spans(src, o)
	}
	return y
}

var errGrown = errors.New("file is longer than allowed")

// readFile reads a file that may have grown since it was listed.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(src)) > limit {
		err = errGrown
	}
	return src, err
}

func (y *yield) texts(src []byte, o Options) {
	for _, c := range chunks(src, o.MaxChars) {
		y.records = append(y.records, TextRecord{
			Text: string(src[c[0]:c[1]]), Path: y.path, Lang: y.lang, Repo: y.repo, Start: c[0], SHA256: y.hash,
		})
	}
}

// spans draws spans in number as the square root of the lines, so that long
// files do not drown the rest.
func (y *yield) spans(src []byte, o Options) {
	p := newPicker(src, y.lang, stream(o.Seed, y.repo, y.path), o)
	y.unparsed = y.lang == "go" && o.Shares.Syntax > 0 && p.syntax == nil
	n := min(o.PerFile, int(math.Ceil(math.Sqrt(float64(len(p.lines)-1)))))
	for _, s := range p.pick(n) {
		from, to := window(src, s, o.MaxChars)
		y.records = append(y.records, Record{
			Prefix: string(src[from:s.start]), Middle: string(src[s.start:s.end]), Suffix: string(src[s.end:to]),
			Path: y.path, Lang: y.lang, Repo: y.repo, SpanKind: s.kind, Start: from, SHA256: y.hash,
		})
		y.kinds = append(y.kinds, s.kind)
		y.middle += int64(s.end - s.start)
	}
	if len(y.records) == 0 {
		y.reason = reasonNoSpan
	}
}

// stream is the random stream of one file.
func stream(seed uint64, repo, path string) *rand.Rand {
	var key []byte
	key = binary.LittleEndian.AppendUint64(key, seed)
	key = append(append(append(key, repo...), 0), path...)
	sum := sha256.Sum256(key)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
}
