package dataset

import (
	"errors"
	"fmt"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// fim lays out a fill-in-the-middle record. With limit above 0 a longer one
// loses what is least near to the hole: first the files shown before it, from
// the first on; then the start of the prefix and the end of the suffix, in the
// proportion 3 to 1 that llama.cpp's infill keeps.
func (b *builder) fim(r *record, limit int) (s *encoded, counts turnCounts, err error) {
	f, err := b.fimTokens()
	if err != nil {
		return nil, counts, err
	}
	sample := r.fim
	if f.files == nil && len(sample.Context) > 0 {
		sample.Context, counts.lostContext = nil, 1
	}
	for {
		parts, size, err := b.encodeSegments(sample.layout(f.files))
		if err != nil {
			return nil, counts, err
		}
		size += len(b.begin())
		if limit <= 0 || size <= limit {
			return b.assembleFIM(f, parts), counts, nil
		}
		if len(sample.Context) > 0 {
			sample.Context = sample.Context[1:]
			continue
		}
		if !trimHole(parts, size-limit) {
			return nil, counts, nil
		}
		return b.assembleFIM(f, parts), counts, nil
	}
}

// part is a segment and the tokens of its text.
type part struct {
	segment
	tokens []int32
}

// encodeSegments encodes the text of each segment and adds up the tokens,
// those of the special ones included.
func (b *builder) encodeSegments(segments []segment) (parts []part, size int, err error) {
	for _, s := range segments {
		p := part{segment: s}
		if s.role >= tokenPrefix {
			size++
		} else if p.tokens, err = b.e.raw(s.text); err != nil {
			return nil, 0, fmt.Errorf("tokenise: %w", err)
		}
		size += len(p.tokens)
		parts = append(parts, p)
	}
	return parts, size, nil
}

// trimHole cuts excess tokens off prefix and suffix, if they have as many.
func trimHole(parts []part, excess int) bool {
	var prefix, suffix *part
	for i := range parts {
		switch parts[i].role {
		case holePrefix:
			prefix = &parts[i]
		case holeSuffix:
			suffix = &parts[i]
		}
	}
	room := len(prefix.tokens) + len(suffix.tokens) - excess
	if room < 0 {
		return false
	}
	prefix.tokens, suffix.tokens = trimContext(prefix.tokens, suffix.tokens, room)
	return true
}

func (b *builder) assembleFIM(f FIMTokens, parts []part) *encoded {
	special := map[segmentKind]int32{
		tokenPrefix: f.Prefix, tokenSuffix: f.Suffix, tokenMiddle: f.Middle, tokenEnd: f.End, tokenRepo: f.Repo, tokenSep: f.Sep,
	}
	all := b.o.Loss == LossAll
	out := &encoded{}
	out.add(false, b.begin()...)
	for _, p := range parts {
		train := all || p.role == holeMiddle || p.role == tokenEnd
		if id, ok := special[p.role]; !ok {
			out.add(train, p.tokens...)
		} else if id >= 0 { // a family may lack the token before the repository's name
			out.add(train, id)
		}
	}
	return out
}

// trimContext keeps at most room tokens around the hole. What one side does
// not need the other may use.
func trimContext(prefix, suffix []int32, room int) (p, s []int32) {
	if len(prefix)+len(suffix) <= room {
		return prefix, suffix
	}
	after := min(len(suffix), max(room/4, room-len(prefix)))
	before := min(len(prefix), room-after)
	return prefix[len(prefix)-before:], suffix[:after]
}

// readFIM takes prefix, middle and suffix; and repo, path and context where
// there is a context. Without one the other two are not looked at.
func (r *record) readFIM(d *jinja.Dict) error {
	s := &r.fim
	err := readStrings(d, map[string]*string{"prefix": &s.Prefix, "suffix": &s.Suffix, "middle": &s.Middle})
	if err == nil && s.Middle == "" {
		err = errors.New("middle is empty")
	}
	if err != nil || !has(d, "context") {
		return err
	}
	if s.Context, err = readContext(d); err != nil || len(s.Context) == 0 {
		return err
	}
	if has(d, "repo") {
		err = readStrings(d, map[string]*string{"repo": &s.Repo})
	}
	if err == nil && !has(d, "path") {
		err = errors.New("a record with a context needs the path of its own file")
	}
	if err != nil {
		return err
	}
	return readStrings(d, map[string]*string{"path": &s.Path})
}

func readContext(d *jinja.Dict) ([]ContextFile, error) {
	v, _ := d.Get("context")
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("context is not a list")
	}
	var files []ContextFile
	for i, item := range list {
		entry, ok := item.(*jinja.Dict)
		if !ok || !has(entry, "path") || !has(entry, "content") {
			return nil, fmt.Errorf("context file %d is no object with path and content", i+1)
		}
		var f ContextFile
		if err := readStrings(entry, map[string]*string{"path": &f.Path, "content": &f.Content}); err != nil {
			return nil, fmt.Errorf("context file %d: %w", i+1, err)
		}
		files = append(files, f)
	}
	return files, nil
}
