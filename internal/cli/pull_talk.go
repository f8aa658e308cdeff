package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/qlora/qlora/internal/hub"
	"github.com/qlora/qlora/internal/ui"
)

// pullModel is a model in the summary of pull --list.
type pullModel struct {
	Name  string `json:"name"`
	Quant string `json:"quant"`
	Parts int    `json:"parts"`
	Bytes int64  `json:"bytes"`
}

// pullListSummary ends the JSON output of pull --list.
type pullListSummary struct {
	Repo     string      `json:"repo"`
	Revision string      `json:"revision"`
	Endpoint string      `json:"endpoint"`
	Models   []pullModel `json:"models"`
}

func (p *puller) list(files []hub.File) error {
	sum := pullListSummary{Repo: p.o.ref.Repo, Revision: p.o.revision, Endpoint: p.client.Endpoint(), Models: []pullModel{}}
	var rows [][]string
	for _, m := range hub.Models(files) {
		sum.Models = append(sum.Models, pullModel{Name: m.Name, Quant: m.Quant, Parts: len(m.Files), Bytes: m.Size()})
		rows = append(rows, []string{m.Name, cmp.Or(m.Quant, "-"), fmt.Sprint(len(m.Files)), ui.Size(m.Size())})
	}
	if len(rows) == 0 {
		return p.failed(&hub.ChoiceError{Text: "the repository holds no GGUF model"})
	}
	if !p.s.JSON {
		ui.Table(p.s.Out, []string{"file", "quant", "parts", "size"}, rows)
	}
	return p.s.Event("summary", sum)
}

// failed gives an error of the hub its exit code and says what to do.
func (p *puller) failed(err error) error {
	var status *hub.StatusError
	var choice *hub.ChoiceError
	var coded *ui.CodedError
	var disk *fs.PathError
	switch {
	case err == nil, errors.As(err, &coded), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &choice):
		return ui.Fail(ui.ExitUsage, err, p.choiceHints(choice)...)
	case errors.As(err, &status):
		return p.refused(err, status.Kind)
	case errors.As(err, &disk):
		return ui.Fail(ui.ExitFailure, err, "choose another place with --out")
	}
	return ui.Fail(ui.ExitFailure, err, "is the hub reachable from here? --endpoint names another, HTTPS_PROXY a proxy")
}

// mostNamed bounds how many models a hint lists.
const mostNamed = 12

func (p *puller) choiceHints(e *hub.ChoiceError) []string {
	if len(e.Models) == 0 {
		return []string{"look for the repository of the same model whose name ends in -GGUF"}
	}
	var names []string
	quants := map[string]int{}
	for _, m := range e.Models {
		quants[m.Quant]++
	}
	for _, m := range e.Models {
		name := m.Quant
		if name == "" || quants[name] > 1 {
			name = m.Name
		}
		names = append(names, name)
	}
	first := "write one of these after the colon: " + strings.Join(names[:min(len(names), mostNamed)], ", ")
	if len(names) > mostNamed {
		first += fmt.Sprintf(" and %d more", len(names)-mostNamed)
	}
	return []string{first, fmt.Sprintf("see their sizes with 'qlora pull hf:%s --list'", p.o.ref.Repo)}
}

func (p *puller) refused(err error, kind hub.Kind) error {
	page := p.client.Endpoint() + "/" + p.o.ref.Repo
	token := "set HF_TOKEN, in the environment or in .env, to a token of an account that may read it"
	if os.Getenv(tokenVar) != "" {
		token = "HF_TOKEN is set: is it still valid, and may its account read this repository?"
	}
	switch kind {
	case hub.KindToken:
		return ui.Fail(ui.ExitUsage, err, token)
	case hub.KindGated:
		return ui.Fail(ui.ExitUsage, err, "accept the terms at "+page, token)
	case hub.KindNoRepo:
		return ui.Fail(ui.ExitUsage, err, "check the name at "+page, "if it is private: "+token)
	case hub.KindNoRev:
		return ui.Fail(ui.ExitUsage, err, "name a branch, a tag or a commit with --revision")
	case hub.KindNoFile:
		return ui.Fail(ui.ExitUsage, err, fmt.Sprintf("see what there is with 'qlora pull hf:%s --list'", p.o.ref.Repo))
	}
	return ui.Fail(ui.ExitFailure, err, "run the same command again later: it goes on from where it was")
}

// pullHint is what to do about a model of a hub that was given where a file is
// wanted, or "".
func pullHint(err error) []string {
	var missing *fs.PathError
	if !errors.As(err, &missing) || !hub.IsRef(missing.Path) {
		return nil
	}
	return []string{fmt.Sprintf("fetch the model first with 'qlora pull %s', then name the file that it prints", missing.Path)}
}
