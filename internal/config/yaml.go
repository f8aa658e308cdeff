package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// ReadFile decodes the YAML file at path into v, a pointer to a struct; see
// Decode.
func ReadFile(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	return Decode(path, data, v)
}

// Decode decodes one YAML document into v, a pointer to a struct. Every key
// must be a field of v; fields without a key keep their values, so that v can
// come filled with defaults. Errors have the form "name:LINE: key: what".
func Decode(name string, data []byte, v any) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	switch err := dec.Decode(v); {
	case errors.Is(err, io.EOF):
		return nil // an empty file changes nothing
	case err != nil:
		return explain(name, data, v, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one YAML document", name)
	}
	return nil
}

var (
	yamlLine     = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	unknownField = regexp.MustCompile(`^field (\S+) not found in type`)
)

// explain turns the decoder's messages into ones that name file, line and key.
func explain(name string, data []byte, v any, err error) error {
	messages := []string{err.Error()}
	var typeErr *yaml.TypeError
	if errors.As(err, &typeErr) {
		messages = typeErr.Errors
	}
	keys := keysByLine(data)
	known := knownKeys(reflect.TypeOf(v), nil)
	var all []error
	for _, message := range messages {
		all = append(all, explainOne(name, message, keys, known))
	}
	return errors.Join(all...)
}

func explainOne(name, message string, keys map[int]string, known []string) error {
	parts := yamlLine.FindStringSubmatch(message)
	if parts == nil {
		return fmt.Errorf("%s: %s", name, strings.TrimPrefix(message, "yaml: "))
	}
	line, _ := strconv.Atoi(parts[1]) // the pattern admits digits alone
	if field := unknownField.FindStringSubmatch(parts[2]); field != nil {
		return fmt.Errorf("%s:%d: unknown key %q%s", name, line, field[1], didYouMean(field[1], known))
	}
	if key := keys[line]; key != "" {
		return fmt.Errorf("%s:%d: %s: %s", name, line, key, parts[2])
	}
	return fmt.Errorf("%s:%d: %s", name, line, parts[2])
}

// keysByLine maps a line to the key whose value starts there.
func keysByLine(data []byte) map[int]string {
	keys := map[int]string{}
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil {
		return keys
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 1 {
				keys[child.Line] = n.Content[i-1].Value
			}
			walk(child)
		}
	}
	walk(&doc)
	return keys
}

// knownKeys lists the keys of a struct type and of the structs inside it.
func knownKeys(t reflect.Type, keys []string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return keys
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch name {
		case "-":
			continue
		case "":
			name = strings.ToLower(f.Name)
		}
		keys = knownKeys(f.Type, append(keys, name))
	}
	return keys
}

// didYouMean names the known keys that differ from key in case, dashes or at
// most two letters.
func didYouMean(key string, known []string) string {
	var near []string
	for _, k := range known {
		if Distance(plain(key), plain(k)) <= 2 && !slices.Contains(near, k) {
			near = append(near, k)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
}

func plain(key string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(key))
}

// Distance is the Levenshtein distance of a and b in bytes: how many letters
// to add, drop or change to get from one to the other.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
