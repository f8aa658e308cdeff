package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/qlora/qlora/internal/evaluate/comparison"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

// compared is one model of a comparison: a session of its own, or the base's
// with an adapter.
type compared struct {
	name, path string
	kind       comparison.Kind
	session    *session
	adapters   []llama.AdapterScale
	owned      bool // the session is this one's to close
}

// comparedSet is all models of a comparison.
type comparedSet struct {
	base     *compared
	variants []*compared
}

// openCompared loads the base with all adapters, and checks that whole models
// have its vocabulary. Those are loaded when they are measured.
func openCompared(ctx context.Context, o *compareOptions, s *ui.Streams) (set *comparedSet, err error) {
	sess, err := o.open(ctx, s)
	if err != nil {
		return nil, err
	}
	set = &comparedSet{base: &compared{name: "base", path: o.model, kind: comparison.Base, session: sess, owned: true}}
	defer func() {
		if err != nil {
			err = errors.Join(err, set.close())
		}
	}()
	sess.warnContext(s)
	specs, err := parseLoRA(o.lora)
	if err != nil {
		return set, err
	}
	for i, spec := range specs {
		v := &compared{name: variantName(spec.path), path: spec.path, kind: comparison.Adapter, session: sess, adapters: sess.adapters[i : i+1]}
		if spec.scale != 1 {
			v.name += fmt.Sprintf(":%g", spec.scale)
		}
		set.variants = append(set.variants, v)
	}
	for _, path := range o.merged {
		if err := sameVocabulary(o.model, path); err != nil {
			return set, err
		}
		set.variants = append(set.variants, &compared{name: variantName(path), path: path, kind: comparison.Model})
	}
	set.tellApart()
	return set, nil
}

// variantName is that of the run's folder for the files that training names,
// and the file's own otherwise.
func variantName(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".gguf")
	dir := filepath.Base(filepath.Dir(path))
	switch {
	case dir == "." || dir == ".." || dir == string(filepath.Separator):
		return name
	case name == "adapter" || name == "model":
		return dir
	case name == "adapter-best" || name == "model-best":
		return dir + "-best"
	}
	return name
}

// tellApart numbers names that occur twice.
func (set *comparedSet) tellApart() {
	seen := map[string]int{"base": 1}
	for _, v := range set.variants {
		seen[v.name]++
		if n := seen[v.name]; n > 1 {
			v.name = fmt.Sprintf("%s#%d", v.name, n)
		}
	}
}

// sameVocabulary refuses a model whose tokens are not the base's: on other
// tokens a loss is not comparable, and samples are not the same.
func sameVocabulary(base, path string) (err error) {
	if err := adapterHint(checkModel(path, nil), "compare an adapter with --lora "+path); err != nil {
		return err
	}
	tokens := make([][]string, 2)
	for i, p := range []string{base, path} {
		f, err := gguf.Open(p)
		if err != nil {
			return fileError(err, p)
		}
		text, _ := f.Strings("tokenizer.ggml.tokens")
		for _, token := range text { // the file's memory ends with it
			tokens[i] = append(tokens[i], strings.Clone(token))
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	same := len(tokens[0]) == len(tokens[1])
	for i := 0; same && i < len(tokens[0]); i++ {
		same = tokens[0][i] == tokens[1][i]
	}
	if same {
		return nil
	}
	return ui.Fail(ui.ExitInvalid, fmt.Errorf("%s has another vocabulary than %s, so they cannot be measured on the same tokens", path, base),
		"compare a model with the one that it was made from; 'qlora test baseline' measures one by itself, in bits per byte too")
}

// open loads a whole model where the base's session is, with its options.
func (v *compared) open(base *session) error {
	if v.session != nil {
		return nil
	}
	own := base.options
	own.model, own.lora = v.path, nil
	sess, err := own.load(base.device, nil)
	v.session, v.owned = sess, err == nil
	return err
}

func (v *compared) close() error {
	if !v.owned {
		return nil
	}
	v.owned = false
	return v.session.close()
}

func (set *comparedSet) close() error {
	var errs []error
	for _, v := range append(set.variants, set.base) {
		errs = append(errs, v.close())
	}
	return errors.Join(errs...)
}
