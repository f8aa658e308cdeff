package serve

import (
	"fmt"
	"slices"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// ignoredKeywords say nothing about what is valid.
var ignoredKeywords = []string{"title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "$defs", "definitions",
	"additionalProperties", "strict", "deprecated", "readOnly", "writeOnly", "nullable"}

// decidingKeywords say all that value looks at, in its order; typeKeywords
// belong to a type.
var (
	decidingKeywords = []string{"$ref", "const", "enum", "anyOf", "oneOf", "allOf"}
	typeKeywords     = []string{"properties", "required", "items", "minItems", "maxItems"}
	knownKeywords    = slices.Concat(decidingKeywords, typeKeywords)
)

// supported refuses what a grammar made of d would let pass.
func supported(d *jinja.Dict) error {
	deciding := ""
	for _, key := range decidingKeywords {
		if _, ok := d.Get(key); ok && deciding == "" {
			deciding = key
		}
	}
	for _, key := range d.Keys() {
		switch {
		case slices.Contains(ignoredKeywords, key), key == "type", key == deciding:
		case !slices.Contains(knownKeywords, key):
			return fmt.Errorf("the keyword %.40q is not supported", key)
		case deciding != "":
			return fmt.Errorf("the keyword %q beside %q is not supported", key, deciding)
		}
	}
	properties, _ := d.Get("properties")
	known, _ := properties.(*jinja.Dict)
	needed, _ := d.Get("required")
	required, _ := needed.([]any)
	for _, name := range required {
		spelled, _ := name.(string)
		if known == nil || !slices.Contains(known.Keys(), spelled) {
			return fmt.Errorf("required: %.40q is not among the properties", fmt.Sprint(name))
		}
	}
	return nil
}
