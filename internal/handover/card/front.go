package card

import (
	"math"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// hubID is OWNER/NAME. Hubs take base_model for nothing else, and data from
// files of one's own, which have no such name, is listed in the text alone.
var hubID = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$`)

// front is the YAML in front of a card, in the order in which it is written.
type front struct {
	BaseModel   string   `yaml:"base_model,omitempty"`
	Relation    string   `yaml:"base_model_relation,omitempty"`
	Library     string   `yaml:"library_name,omitempty"`
	Pipeline    string   `yaml:"pipeline_tag"`
	Language    []string `yaml:"language,omitempty"`
	License     string   `yaml:"license,omitempty"`
	LicenseName string   `yaml:"license_name,omitempty"`
	LicenseLink string   `yaml:"license_link,omitempty"`
	Tags        []string `yaml:"tags"`
	Index       []index  `yaml:"model-index,omitempty"`
}

// index is a model's figures, as hubs tabulate them.
type index struct {
	Name    string   `yaml:"name"`
	Results []result `yaml:"results"`
}

type result struct {
	Task    named    `yaml:"task"`
	Dataset named    `yaml:"dataset"`
	Metrics []metric `yaml:"metrics"`
}

type named struct {
	Type string `yaml:"type"`
	Name string `yaml:"name"`
}

type metric struct {
	Type  string  `yaml:"type"`
	Name  string  `yaml:"name"`
	Value float64 `yaml:"value"`
}

func (c *Card) front() front {
	f := front{Pipeline: "text-generation", Language: c.Base.Languages, Tags: c.tags()}
	if hubID.MatchString(c.Base.Hub) {
		f.BaseModel, f.Relation = c.Base.Hub, c.relation()
	}
	if c.Format == PEFT {
		f.Library = "peft"
	}
	f.License = strings.ToLower(c.Base.License)
	f.LicenseName, f.LicenseLink = c.Base.LicenseName, c.Base.LicenseLink
	if r := c.Result; r != nil && r.loss() != nil && len(c.Eval) > 0 {
		f.Index = []index{{Name: c.Name, Results: []result{{Task: named{"text-generation", "text generation"},
			Dataset: named{"held-out", evalNames(c.Eval)}, Metrics: evalMetrics(*r.loss())}}}}
	}
	return f
}

// relation is what the weights are to the base; empty for a base as it was.
func (c *Card) relation() string {
	switch {
	case !c.Merged:
		return "adapter"
	case len(c.Adapters) > 0:
		return "merge"
	case c.trained():
		return "finetune"
	}
	return ""
}

func evalMetrics(loss float64) []metric {
	return []metric{{"loss", "loss in nats per trained token", round(loss)}, {"perplexity", "perplexity", round(math.Exp(loss))}}
}

// round keeps four digits behind the point.
func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func evalNames(files []DataFile) string {
	var names []string
	for _, d := range files {
		names = append(names, d.Name)
	}
	return strings.Join(names, ", ")
}

func (c *Card) tags() []string {
	tags := []string{"qlora", string(c.Format)}
	if !c.Merged {
		tags = append(tags, "lora")
	}
	if c.Base.Architecture != "" {
		tags = append(tags, c.Base.Architecture)
	}
	return tags
}

func (f front) yaml() (string, error) {
	var b strings.Builder
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(f); err != nil {
		return "", err
	}
	return "---\n" + b.String() + "---\n", nil
}
