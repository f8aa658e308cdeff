package hub

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Model is a model of a repository: one GGUF file, or all parts of a split one
// in their order.
type Model struct {
	Name  string // path of the file, or of the first part
	Quant string // quantisation as the names of its files say it, in upper case; may be empty
	Files []File
	Total int // parts that there ought to be
}

// Size is the sum over the files, in bytes.
func (m Model) Size() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

var (
	splitName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)
	// quantName finds types as llama.cpp names them, between separators.
	quantName = regexp.MustCompile(`(?i)(?:^|[-._ /])((?:UD-)?(?:I?Q\d+(?:_[0-9A-Z]{1,3})*|TQ\d_\d|MXFP4(?:_MOE)?|BF16|FP?16|FP?32))(?:$|[-._ /])`)
)

// Quant is the quantisation that a file's name tells, such as Q4_K_M or
// UD-Q4_K_XL, in upper case; "" when it tells none. A folder may tell it where
// the name does not.
func Quant(file string) string {
	stem := strings.TrimSuffix(file, ".gguf")
	if m := splitName.FindStringSubmatch(file); m != nil {
		stem = m[1]
	}
	for _, text := range []string{path.Base(stem), path.Dir(stem)} {
		quant := ""
		for text != "" { // the last one counts: Q8-distill-Q4_0
			at := quantName.FindStringSubmatchIndex(text)
			if at == nil {
				break
			}
			quant, text = text[at[2]:at[3]], text[at[3]:]
		}
		if quant != "" {
			return strings.ToUpper(quant)
		}
	}
	return ""
}

// Models gathers the GGUF files of a repository into models, sorted by name.
// Projectors of vision models and importance matrices are none.
func Models(files []File) []Model {
	found := map[string]*Model{}
	var names []string
	for _, f := range files {
		if !strings.EqualFold(path.Ext(f.Path), ".gguf") || isCompanion(f.Path) {
			continue
		}
		key, total := f.Path, 1
		if m := splitName.FindStringSubmatch(f.Path); m != nil {
			key = m[1] + "-of-" + m[3]
			total, _ = strconv.Atoi(m[3]) // digits, by the expression
		}
		if found[key] == nil {
			found[key] = &Model{Quant: Quant(f.Path), Total: total}
			names = append(names, key)
		}
		found[key].Files = append(found[key].Files, f)
	}
	slices.Sort(names)
	models := make([]Model, 0, len(names))
	for _, name := range names {
		m := *found[name]
		slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		m.Name = m.Files[0].Path
		models = append(models, m)
	}
	return models
}

func isCompanion(file string) bool {
	name := strings.ToLower(path.Base(file))
	return strings.Contains(name, "mmproj") || strings.Contains(name, "imatrix")
}

// defaultQuants are taken, the first that is there, when none is asked for.
var defaultQuants = []string{"Q4_K_M", "Q4_0", "Q8_0"}

// ChoiceError says that what was asked for is not one model of the repository.
type ChoiceError struct {
	Text   string
	Models []Model // to choose from; may be empty
}

func (e *ChoiceError) Error() string { return e.Text }

// Choose picks the model that want names: a file, a quantisation, or for "" the
// usual one.
func Choose(files []File, want string) (Model, error) {
	models := Models(files)
	if strings.HasSuffix(strings.ToLower(want), ".gguf") {
		return chooseFile(files, models, want)
	}
	if len(models) == 0 {
		return Model{}, &ChoiceError{Text: "the repository holds no GGUF model"}
	}
	if want == "" {
		return chooseUsual(models)
	}
	same := byQuant(models, want)
	switch len(same) {
	case 0:
		return Model{}, &ChoiceError{fmt.Sprintf("the repository has no %s", want), models}
	case 1:
		return same[0].whole()
	}
	return Model{}, &ChoiceError{fmt.Sprintf("the repository has %d models of %s", len(same), want), same}
}

func chooseUsual(models []Model) (Model, error) {
	if len(models) == 1 {
		return models[0].whole()
	}
	for _, quant := range defaultQuants {
		if same := byQuant(models, quant); len(same) == 1 {
			return same[0].whole()
		}
	}
	return Model{}, &ChoiceError{fmt.Sprintf("the repository has %d models, none of which is the usual one", len(models)), models}
}

// byQuant prefers the very name to one with a maker's prefix.
func byQuant(models []Model, want string) []Model {
	want = strings.ToUpper(want)
	var same, prefixed []Model
	for _, m := range models {
		switch m.Quant {
		case want:
			same = append(same, m)
		case "UD-" + want:
			prefixed = append(prefixed, m)
		}
	}
	if len(same) > 0 {
		return same
	}
	return prefixed
}

// chooseFile finds a file by its path or, when one file alone has it, its name.
func chooseFile(files []File, models []Model, want string) (Model, error) {
	for _, m := range models {
		if m.has(want) {
			return m.whole()
		}
	}
	for _, f := range files { // a projector, which is no model but may be wanted
		if f.Path == want || path.Base(f.Path) == want {
			return Model{Name: f.Path, Files: []File{f}, Total: 1}, nil
		}
	}
	return Model{}, &ChoiceError{fmt.Sprintf("the repository has no file %s", want), models}
}

func (m Model) has(file string) bool {
	return slices.ContainsFunc(m.Files, func(f File) bool { return f.Path == file || path.Base(f.Path) == file })
}

// whole refuses a split model of which a part is missing.
func (m Model) whole() (Model, error) {
	if len(m.Files) != m.Total {
		return Model{}, &ChoiceError{Text: fmt.Sprintf("%s is in %d parts, of which the repository has %d", m.Name, m.Total, len(m.Files))}
	}
	return m, nil
}

// LocalName is the name that a file of a repository gets in a folder of ours:
// its own without the folders. It refuses those that could lead elsewhere.
func LocalName(f File) (string, error) {
	name := path.Base(f.Path)
	if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\\") || printable(name) != name || len(name) > 200 {
		return "", fmt.Errorf("the hub lists a file named %q, which is no name for a file here", f.Path)
	}
	return name, nil
}
