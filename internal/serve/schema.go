package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// jsonRules are the GBNF rules for JSON of any shape. White space is bounded: a
// small model may otherwise write nothing else.
const jsonRules = `
ws ::= "" | " " | "\n" [ \t]{0,20}
char ::= [^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
string ::= "\"" char* "\""
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?
boolean ::= "true" | "false"
null ::= "null"
pair ::= string ":" ws value
object ::= "{" ws (pair ("," ws pair)*)? ws "}"
array ::= "[" ws (value ("," ws value)*)? ws "]"
value ::= object | array | string | number | boolean | null
`

// schemaGrammar turns JSON schemas into GBNF rules.
type schemaGrammar struct {
	root  *jinja.Dict // where references lead
	rules strings.Builder
	count int
	refs  map[string]string // reference -> rule
	loose bool              // leave out what a grammar cannot say, instead of refusing it
}

const (
	deepestSchema  = 32
	mostTypes      = 7         // that JSON has
	longestGrammar = 256 << 10 // bytes; it is looked at for every token
)

var errTooLarge = errors.New("the schema is too large")

// value returns the expression for values of a schema.
func (g *schemaGrammar) value(v any, depth int) (string, error) {
	if v == true || v == nil {
		return "value", nil
	}
	d, ok := v.(*jinja.Dict)
	if !ok || depth > deepestSchema {
		return "", fmt.Errorf("a schema is not an object, or nested too deeply")
	}
	if g.rules.Len() > longestGrammar { // lists of types can make much of little
		return "", errTooLarge
	}
	if !g.loose {
		if err := supported(d); err != nil {
			return "", err
		}
	}
	if ref, ok := d.Get("$ref"); ok {
		return g.reference(fmt.Sprint(ref), depth)
	}
	if c, ok := d.Get("const"); ok {
		return literals([]any{c})
	}
	if e, ok := d.Get("enum"); ok {
		list, _ := e.([]any)
		return literals(list)
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		if v, ok := d.Get(key); ok {
			return g.alternatives(key, v, depth)
		}
	}
	kind, _ := d.Get("type")
	if list, ok := kind.([]any); ok {
		if len(list) > mostTypes {
			return "", fmt.Errorf("type: there are not that many")
		}
		var any []any
		for _, k := range list {
			any = append(any, d.With("type", k))
		}
		return g.alternatives("type", any, depth)
	}
	return g.typed(d, kind, depth)
}

func (g *schemaGrammar) typed(d *jinja.Dict, kind any, depth int) (string, error) {
	properties, named := d.Get("properties")
	_, listed := d.Get("items")
	switch {
	case kind == nil && named:
		kind = "object"
	case kind == nil && listed:
		kind = "array"
	}
	switch kind {
	case nil:
		return "value", nil
	case "object":
		if named {
			return g.object(d, properties, depth)
		}
		return "object", nil
	case "array":
		return g.array(d, depth)
	case "string", "number", "integer", "boolean", "null":
		return kind.(string), nil
	}
	return "", fmt.Errorf("there is no type %.40q", fmt.Sprint(kind))
}

// rule writes a rule and returns its name.
func (g *schemaGrammar) rule(expression string) string {
	g.count++
	name := fmt.Sprintf("r%d", g.count)
	fmt.Fprintf(&g.rules, "%s ::= %s\n", name, expression)
	return name
}

func (g *schemaGrammar) alternatives(key string, v any, depth int) (string, error) {
	list, _ := v.([]any)
	if len(list) == 0 || key == "allOf" && len(list) > 1 {
		return "", fmt.Errorf("%s: want a list, for allOf with one element", key)
	}
	var each []string
	for _, one := range list {
		e, err := g.value(one, depth+1)
		if err != nil {
			return "", err
		}
		each = append(each, e)
	}
	return "(" + strings.Join(each, " | ") + ")", nil
}

// pointerEscapes are how a JSON pointer spells what separates its parts.
var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

// reference follows "#/$defs/name"; the rule exists before its schema is read,
// so that schemas may contain themselves.
func (g *schemaGrammar) reference(ref string, depth int) (string, error) {
	if name, ok := g.refs[ref]; ok {
		return name, nil
	}
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return "", fmt.Errorf("$ref %.60q leads out of the schema", ref)
	}
	var at any = g.root
	for _, key := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if key == "" {
			continue
		}
		d, _ := at.(*jinja.Dict)
		if d == nil {
			return "", fmt.Errorf("$ref %.60q leads nowhere", ref)
		}
		if at, ok = d.Get(pointerEscapes.Replace(key)); !ok {
			return "", fmt.Errorf("$ref %.60q leads nowhere", ref)
		}
	}
	g.count++
	name := fmt.Sprintf("ref%d", g.count)
	g.refs[ref] = name
	e, err := g.value(at, depth+1)
	if err != nil {
		return "", err
	}
	if e == name {
		return "", fmt.Errorf("$ref %.60q leads to itself", ref)
	}
	fmt.Fprintf(&g.rules, "%s ::= %s\n", name, e)
	return name, nil
}

// object allows the properties in their order, those that are not required or not.
func (g *schemaGrammar) object(d *jinja.Dict, p any, depth int) (string, error) {
	properties, ok := p.(*jinja.Dict)
	if !ok {
		return "", fmt.Errorf("properties: want an object")
	}
	needed, _ := d.Get("required")
	required, _ := needed.([]any)
	// after is what may follow, when nothing and when something was written
	afterNone, afterSome := `""`, `""`
	keys := properties.Keys()
	for _, key := range slices.Backward(keys) {
		schema, _ := properties.Get(key)
		value, err := g.value(schema, depth+1)
		if err != nil {
			return "", err
		}
		spelled, err := jinja.EncodeJSON(key)
		if err != nil {
			return "", err
		}
		item := quote(spelled+":") + " ws " + value
		first, later := item+" "+afterSome, `"," ws `+item+" "+afterSome
		if !slices.Contains(required, any(key)) {
			first, later = first+" | "+afterNone, later+" | "+afterSome
		}
		afterNone, afterSome = g.rule(first), g.rule(later)
	}
	return g.rule(`"{" ws ` + afterNone + ` ws "}"`), nil
}

func (g *schemaGrammar) array(d *jinja.Dict, depth int) (string, error) {
	items, _ := d.Get("items")
	item, err := g.value(items, depth+1)
	if err != nil {
		return "", err
	}
	low, high, whole := int64(0), int64(-1), true
	if v, ok := d.Get("minItems"); ok {
		low, whole = v.(int64)
	}
	if v, ok := d.Get("maxItems"); ok && whole {
		high, whole = v.(int64)
		whole = whole && high >= 0
	}
	if !whole || low < 0 || low > 1000 || high > 1000 || high >= 0 && high < low {
		return "", fmt.Errorf("minItems and maxItems: want numbers up to 1000")
	}
	var list string
	switch {
	case high == 0:
		return g.rule(`"[" ws "]"`), nil
	case high < 0:
		list = fmt.Sprintf(`%s ("," ws %s){%d,}`, item, item, max(0, low-1))
	default:
		list = fmt.Sprintf(`%s ("," ws %s){%d,%d}`, item, item, max(0, low-1), high-1)
	}
	if low == 0 {
		list = "(" + list + ")?"
	}
	return g.rule(`"[" ws ` + list + ` ws "]"`), nil
}

// literals allows these values alone.
func literals(list []any) (string, error) {
	if len(list) == 0 || len(list) > 1000 {
		return "", fmt.Errorf("enum: want up to 1000 values")
	}
	var each []string
	for _, v := range list {
		spelled, err := jinja.EncodeJSON(v)
		if err != nil {
			return "", err
		}
		each = append(each, quote(spelled))
	}
	return "(" + strings.Join(each, " | ") + ")", nil
}

// quote spells text as a GBNF literal.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(text) + `"`
}

// compile returns the expression for a schema, and the rules that it needs.
func compile(raw json.RawMessage, loose bool, g *schemaGrammar) (string, error) {
	v, err := jinja.DecodeJSON(raw)
	if err != nil {
		return "", fmt.Errorf("the schema is not JSON, or nested too deeply")
	}
	g.root, _ = v.(*jinja.Dict)
	g.loose, g.refs = loose, map[string]string{}
	e, err := g.value(v, 0)
	if err == nil && g.rules.Len()+len(e) > longestGrammar {
		err = errTooLarge
	}
	return e, err
}

// readFormat returns the grammar of response_format, "" for any text.
func readFormat(f *fields) string {
	var format struct {
		Type   string `json:"type"`
		Schema *struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	if !f.into("response_format", &format, "an object with a type") {
		return ""
	}
	switch {
	case format.Type == "text":
	case format.Type == "json_object":
		return "root ::= object\n" + jsonRules
	case format.Type == "json_schema" && format.Schema != nil && len(format.Schema.Schema) > 0:
		g := &schemaGrammar{}
		e, err := compile(format.Schema.Schema, false, g)
		if err != nil {
			f.fail(badParam("response_format", "response_format: %v", err))
			return ""
		}
		return "root ::= " + e + "\n" + g.rules.String() + jsonRules
	default:
		f.fail(badParam("response_format", "response_format: want type text, json_object, or json_schema with a schema"))
	}
	return ""
}

// callGrammar lets a model write nothing but one call of a tool: of the named
// one, or of any when name is empty.
func callGrammar(family toolFamily, tools []tool, name string) (string, *apiError) {
	g := &schemaGrammar{}
	var each []string
	for _, t := range tools {
		if name != "" && t.name != name {
			continue
		}
		arguments := "object"
		if len(t.schema) > 0 && isObject(t.schema) {
			var err error
			if arguments, err = compile(t.schema, true, g); err != nil {
				return "", badParam("tools", "tools: parameters of %s: %v", t.name, err)
			}
		}
		key := `", "arguments": `
		if family == familyJSON {
			key = `", "parameters": `
		}
		each = append(each, quote(t.name+key)+" "+arguments)
	}
	open, end := quote("<tool_call>\n"), quote("\n</tool_call>")
	switch family {
	case familyJSON:
		open, end = `""`, `""`
	case familyMistral:
		open, end = quote(mistralCall+"["), quote("]")
	}
	call := g.rule(`"{\"name\": \"" (` + strings.Join(each, " | ") + `) "}"`)
	return fmt.Sprintf("root ::= %s %s %s\n%s%s", open, call, end, &g.rules, jsonRules), nil
}
