package fim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"

	"github.com/qlora/qlora/internal/prep"
)

// file is one file of a repository and what was found out about it.
type file struct {
	entry
	repo     *Listing
	linguist linguist
	name     string // linguist's name of the language, "" while it is open
	lang     string // as records name it
	license  string // SPDX expression, "" when nothing says
	hash     string // SHA-256 of text
	text     []byte // what records are cut from; may be thrown away and loaded again
	masked   prep.Tally
	reason   string // why it is left out
	err      error  // why it could not be read

	imports []wish
	sketch  *sketch
}

// screen judges a file without opening it.
func (f *file) screen(o Options) {
	f.linguist = f.repo.rules.of(f.path)
	f.reason = rejectPath(f.path, f.linguist)
	maybe := true
	if f.name, maybe = languageByPath(f.path); f.linguist.language != "" {
		f.name, maybe = knownLanguage(f.linguist.language)
	}
	switch {
	case f.reason != "":
	case !f.regular:
		f.reason = reasonIrregular
	case !maybe:
		f.reason = reasonUnknown
	case f.name != "":
		f.reason = f.rejectLanguage(o)
	}
	switch {
	case f.reason != "":
	case f.size > o.MaxFile:
		f.reason = reasonTooLong
	case f.size < minFile:
		f.reason = reasonTooShort
	}
}

func (f *file) rejectLanguage(o Options) string {
	switch {
	case wanted(f.name, o.Languages):
		f.lang = recordLanguage(f.name)
		return ""
	case len(o.Languages) > 0:
		return reasonLanguage
	default:
		return reasonData
	}
}

// examine judges the file by its path, then by what is in it. Afterwards reason
// or err is set, or the file can be used.
func (f *file) examine(ctx context.Context, o Options) {
	if f.screen(o); f.reason != "" {
		return
	}
	src, err := f.repo.reader.read(ctx, f.entry)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.reason = reasonIrregular
		return
	case err != nil:
		f.err = err
		return
	}
	if f.name == "" {
		if f.name = languageByContent(f.path, src); f.name == "" {
			f.reason = reasonUnknown
			return
		}
		if f.reason = f.rejectLanguage(o); f.reason != "" {
			return
		}
	}
	if f.reason = rejectContent(f.path, src, f.name, f.linguist); f.reason != "" {
		return
	}
	if f.reason = f.rejectLicense(src, o); f.reason != "" {
		return
	}
	f.text = f.clean(src, o)
	if o.Redact == RedactDrop && len(f.masked) > 0 {
		f.reason = reasonSecret
		return
	}
	sum := sha256.Sum256(f.text)
	f.hash = hex.EncodeToString(sum[:])
}

// rejectLicense takes what the file itself says about its licence, or else
// what the nearest licence file says.
func (f *file) rejectLicense(src []byte, o Options) string {
	if f.license = fileLicense(src, len(o.Licences) > 0); f.license == "" {
		f.license = f.repo.folderLicense(f.path)
	}
	switch {
	case len(o.Licences) == 0 || allowed(f.license, o.Licences):
		return ""
	case f.license == "":
		return reasonNoLicense
	default:
		return reasonLicense
	}
}

// clean masks secrets. With RedactDrop the result only tells whether there
// are any.
func (f *file) clean(src []byte, o Options) []byte {
	if o.Redact == RedactOff {
		return src
	}
	f.masked = prep.Tally{}
	text := o.Cleaner.Clean(string(src), f.masked)
	if len(f.masked) == 0 {
		return src
	}
	return []byte(text)
}

// load reads the text of a file that was examined before. A file that is not
// the same any more is an error: records of it would be of two versions.
func (f *file) load(ctx context.Context, o Options) ([]byte, error) {
	if f.text != nil {
		return f.text, nil
	}
	src, err := f.repo.reader.read(ctx, f.entry)
	if err != nil {
		return nil, err
	}
	if len(f.masked) > 0 {
		src = []byte(o.Cleaner.Clean(string(src), map[string]int{}))
	}
	sum := sha256.Sum256(src)
	if hex.EncodeToString(sum[:]) != f.hash {
		return nil, errChanged
	}
	return src, nil
}

// readFull fills buf as far as the file reaches.
func readFull(r io.Reader, buf []byte) (int, error) {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}
