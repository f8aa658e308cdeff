package evaluate

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/qlora/qlora/internal/dataset"
)

// UnknownLanguage is that of records that say none.
const UnknownLanguage = "unknown"

// Languages tells the programming language of samples by their place,
// file:line: what their records say under lang or language, or the ending of
// their path.
func Languages(ctx context.Context, samples []dataset.Sample) (map[string]string, error) {
	wanted := map[string]map[int]bool{}
	for _, s := range samples {
		if wanted[s.File] == nil {
			wanted[s.File] = map[int]bool{}
		}
		wanted[s.File][s.Line] = true
	}
	out := map[string]string{}
	for file, lines := range wanted {
		if err := readLanguages(ctx, file, lines, out); err != nil {
			return nil, fmt.Errorf("find the languages of %s: %w", file, err)
		}
	}
	return out, nil
}

func readLanguages(ctx context.Context, file string, wanted map[int]bool, out map[string]string) error {
	f, err := dataset.Open(ctx, file, nil)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for number := 1; ; number++ {
		line, err := r.ReadBytes('\n')
		if wanted[number] {
			out[(&dataset.Sample{File: file, Line: number}).Where()] = languageOf(bytes.TrimSpace(line))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func languageOf(record []byte) string {
	for _, key := range []string{"lang", "language", "metadata.lang"} {
		if v := gjson.GetBytes(record, key); v.Type == gjson.String && v.Str != "" {
			return strings.ToLower(v.Str)
		}
	}
	if ending := path.Ext(gjson.GetBytes(record, "path").Str); len(ending) > 1 {
		return strings.ToLower(ending[1:])
	}
	return UnknownLanguage
}
