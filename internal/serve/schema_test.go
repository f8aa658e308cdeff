package serve

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestSchemasThatAreRefused have restrictions that would be left out in silence.
func TestSchemasThatAreRefused(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"string","minLength":3}`:                                   `"minLength" is not supported`,
		`{"type":"object","required":["a"]}`:                                `required: "a"`,
		`{"type":"object","properties":{"a":{}},"required":["b"]}`:          `required: "b"`,
		`{"properties":{"a":{}},"anyOf":[{"properties":{"b":{}}}]}`:         `"properties" beside "anyOf"`,
		`{"type":"object","anyOf":[{"required":["a"]},{"required":["b"]}]}`: `required: "a"`,
		`{"$ref":"#/$defs/a","$defs":{"a":{}},"enum":[1]}`:                  `"enum" beside "$ref"`,
		`{"type":"array","minItems":1.5}`:                                   "minItems",
		`{"type":"array","maxItems":"x"}`:                                   "maxItems",
		`{"type":"array","maxItems":-1}`:                                    "maxItems",
		`{"type":"strin"}`:                                                  `no type "strin"`,
		`{"type":["string"` + strings.Repeat(`,"string"`, 1000) + `]}`:      "not that many",
	} {
		if got, err := compile(json.RawMessage(schema), false, &schemaGrammar{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %s, %v", schema, got, err)
		}
	}
	for schema, want := range map[string]string{
		`{"$ref":"#/$defs/a~1b","$defs":{"a/b":{"type":"null"}},"description":"x"}`: "ref1",
		`{"type":"string","enum":["a","b"]}`:                                        `("\"a\"" | "\"b\"")`,
		`{"items":{"type":"null"},"maxItems":0}`:                                    "r1",
		`{"type":["string","number","integer","boolean","null","array","object"]}`:  "(string | number | integer | boolean | null | r1 | object)",
	} {
		if got, err := compile(json.RawMessage(schema), false, &schemaGrammar{}); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", schema, got, err, want)
		}
	}
	// what a tool takes is described as well as may be
	if got, err := compile(json.RawMessage(`{"type":"string","minLength":3}`), true, &schemaGrammar{}); got != "string" || err != nil {
		t.Errorf("of a tool: %s, %v", got, err)
	}
}

// TestSchemasThatGrow are small and stand for grammars beyond all bounds.
func TestSchemasThatGrow(t *testing.T) {
	nested := `{"type":"string"}`
	for len(nested) < 1<<20 {
		nested = `{"type":["object","array","null","object","object"],"properties":{"a":` + nested + `},"items":` + nested + `}`
	}
	g := &schemaGrammar{}
	if _, err := compile(json.RawMessage(nested), false, g); !errors.Is(err, errTooLarge) {
		t.Errorf("types within types: %v", err)
	}
	if g.rules.Len() > 2*longestGrammar {
		t.Errorf("%d bytes of rules were written first", g.rules.Len())
	}
}
