package serve

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

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
	many := `{"type":["string"` + strings.Repeat(`,"string"`, 1000) + `]}`
	if _, err := compile(json.RawMessage(many), true, &schemaGrammar{}); err == nil {
		t.Error("a thousand types are taken")
	}
	every := `{"type":["string","number","integer","boolean","null","array","object"]}`
	if _, err := compile(json.RawMessage(every), false, &schemaGrammar{}); err != nil {
		t.Errorf("every type: %v", err)
	}
}
