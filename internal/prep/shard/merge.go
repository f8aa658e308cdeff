package shard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// Errors of Merge that concern the parts as a whole.
var (
	ErrPart    = errors.New("not a complete part of a run")
	ErrMissing = errors.New("parts are missing")
	ErrForeign = errors.New("the parts are not of one run")
	ErrRules   = errors.New("the parts were made by different versions of qlora")
)

// Merge joins all parts of a run into out, which gets the bytes of a whole
// run. The order of parts does not matter; names of their files of keys among
// them are passed over.
func Merge(ctx context.Context, out string, parts []string) (*Result, error) {
	list, err := openParts(parts)
	if err != nil {
		return nil, err
	}
	defer closeParts(list)
	c := newClaims(filepath.Dir(out))
	defer c.close()
	result, err := readClaims(ctx, list, c)
	if err != nil {
		return nil, err
	}
	dropped, lost, err := c.losers(len(list))
	if err != nil {
		return nil, fmt.Errorf("find copies for %s: %w", out, err)
	}
	result.Duplicates += lost
	f, err := prep.Create(out)
	if err != nil {
		return nil, err
	}
	defer f.Abort()
	if result.Records, err = copyParts(ctx, f, list, dropped); err != nil {
		return nil, err
	}
	for _, p := range list {
		if err := p.verify(); err != nil {
			return nil, err
		}
	}
	result.Bytes, result.SHA256 = f.Size(), f.SHA256()
	return result, f.Commit()
}

// openParts opens the parts in the order of their numbers and makes sure that
// they are one run, each part once.
func openParts(paths []string) ([]*part, error) {
	var list []*part
	for _, path := range paths {
		if strings.HasSuffix(path, KeysPath("")) {
			continue
		}
		p, err := openPart(path)
		if err != nil {
			closeParts(list)
			return nil, err
		}
		list = append(list, p)
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].header.Index < list[j].header.Index })
	if err := oneRun(list); err != nil {
		closeParts(list)
		return nil, err
	}
	return list, nil
}

func oneRun(list []*part) error {
	if len(list) == 0 {
		return fmt.Errorf("%w: none was given", ErrMissing)
	}
	first := list[0].header
	have := map[int]string{}
	for _, p := range list {
		h := p.header
		switch {
		case h.Command != first.Command || h.Count != first.Count:
			return fmt.Errorf("%w: %s is part %s of %s, %s is part %s of %s",
				ErrForeign, list[0].path, first.Spec, first.Command, p.path, h.Spec, h.Command)
		case h.Rules != first.Rules:
			return fmt.Errorf("%w: %s by rules %q, %s by rules %q", ErrRules, list[0].path, first.Rules, p.path, h.Rules)
		case h.Options != first.Options:
			return fmt.Errorf("%w: %s and %s were made with different options", ErrForeign, list[0].path, p.path)
		case have[h.Index] != "":
			return fmt.Errorf("%w: %s and %s are both part %s", ErrForeign, have[h.Index], p.path, h.Spec)
		}
		have[h.Index] = p.path
	}
	return complete(have, first.Count)
}

// complete names the first of the parts that are missing.
func complete(have map[int]string, count int) error {
	const named = 10
	left := count - len(have)
	if left == 0 {
		return nil
	}
	var missing []string
	for i := 1; i <= count && len(missing) < named; i++ {
		if have[i] == "" {
			missing = append(missing, Spec{Index: i, Count: count}.String())
		}
	}
	if left > named {
		missing = append(missing, fmt.Sprintf("and %d more", left-named))
	}
	return fmt.Errorf("%w: %s", ErrMissing, strings.Join(missing, ", "))
}

// readClaims is the first pass over the keys.
func readClaims(ctx context.Context, list []*part, c *claims) (*Result, error) {
	result := &Result{Dropped: prep.Tally{}}
	for i, p := range list {
		keys, err := openKeys(p.path)
		if err != nil {
			return nil, err
		}
		err = p.claim(ctx, keys, i, c)
		if err = errors.Join(err, keys.close()); err != nil {
			return nil, err
		}
		result.Duplicates += keys.footer.Duplicates
		result.Dropped.Merge(keys.footer.Dropped)
	}
	return result, nil
}

func (p *part) claim(ctx context.Context, keys *keysReader, index int, c *claims) error {
	for number := int64(0); ; number++ {
		e, err := keys.next()
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if number%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := c.add(e.Key, place{order: e.Order, part: index, number: number}); err != nil {
			return fmt.Errorf("read the keys of %s: %w", p.path, err)
		}
	}
}
