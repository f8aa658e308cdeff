package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
)

// maxJSONDepth bounds the nesting of decoded values.
const maxJSONDepth = 500

// DecodeJSON reads one JSON value and keeps the order of keys, which a
// template that prints a tool's schema depends on. A repeated key keeps its
// first place and its last value, as in Python.
func DecodeJSON(data []byte) (any, error) {
	if v, err := decodeFast(data); err == nil {
		return v, nil
	}
	return decodeSlow(data)
}

// decodeSlow reads what decodeFast leaves, and says what is wrong with text
// that is no JSON.
func decodeSlow(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("data after the end of the JSON value")
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("JSON nested deeper than %d", maxJSONDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch x := t.(type) {
	case json.Delim:
		if x == '{' {
			return decodeDict(d, depth)
		}
		return decodeList(d, depth)
	case json.Number:
		return decodeNumber(string(x)), nil
	}
	return t, nil // string, bool, nil
}

func decodeDict(d *json.Decoder, depth int) (any, error) {
	dict := NewDict()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		value, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		if err := dict.set(key, value); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return dict, err
}

func decodeList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		value, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.Token()
	return list, err
}

func decodeNumber(s string) any {
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return i
		}
		return Number(s)
	}
	f, _ := strconv.ParseFloat(s, 64) // out of range gives an infinity, as in Python
	return f
}

// jsonStyle is how Python's json.dumps lays a value out.
type jsonStyle struct {
	indent   string
	pretty   bool
	itemSep  string
	keySep   string
	ascii    bool
	sortKeys bool
}

// EncodeJSON writes v as json.dumps(v, ensure_ascii=False) does.
func EncodeJSON(v any) (string, error) {
	return encodeJSON(v, jsonStyle{itemSep: ", ", keySep: ": "})
}

func encodeJSON(v any, style jsonStyle) (string, error) {
	var b strings.Builder
	if err := style.write(&b, v, 0); err != nil {
		return "", err
	}
	return b.String(), nil
}

func (s jsonStyle) write(b *strings.Builder, v any, depth int) error {
	switch x := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(x))
	case int64, Number:
		b.WriteString(repr(x))
	case float64:
		b.WriteString(jsonFloat(x))
	case string:
		s.writeString(b, x)
	case []any:
		return s.writeList(b, x, depth)
	case Tuple:
		return s.writeList(b, x, depth)
	case *Dict:
		return s.writeDict(b, x, depth)
	case Undefined:
		return fmt.Errorf("tojson: %w", undefinedError(x))
	default:
		return fmt.Errorf("tojson: a %s has no JSON form", typeName(v))
	}
	return nil
}

func (s jsonStyle) writeList(b *strings.Builder, list []any, depth int) error {
	b.WriteByte('[')
	for i, v := range list {
		s.separate(b, i, depth+1)
		if err := s.write(b, v, depth+1); err != nil {
			return err
		}
	}
	s.close(b, len(list), depth)
	b.WriteByte(']')
	return nil
}

func (s jsonStyle) writeDict(b *strings.Builder, d *Dict, depth int) error {
	order := make([]int, len(d.keys))
	for i := range order {
		order[i] = i
	}
	if s.sortKeys {
		sort.SliceStable(order, func(i, j int) bool { return str(d.keys[order[i]]) < str(d.keys[order[j]]) })
	}
	b.WriteByte('{')
	for n, i := range order {
		s.separate(b, n, depth+1)
		key, err := jsonKey(d.keys[i])
		if err != nil {
			return err
		}
		s.writeString(b, key)
		b.WriteString(s.keySep)
		if err := s.write(b, d.values[i], depth+1); err != nil {
			return err
		}
	}
	s.close(b, len(order), depth)
	b.WriteByte('}')
	return nil
}

func jsonKey(key any) (string, error) {
	switch k := key.(type) {
	case string:
		return k, nil
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(k), nil
	case int64, Number:
		return repr(k), nil
	case float64:
		return jsonFloat(k), nil
	}
	return "", fmt.Errorf("tojson: a %s cannot be a key", typeName(key))
}

func (s jsonStyle) separate(b *strings.Builder, i, depth int) {
	if i > 0 {
		b.WriteString(s.itemSep)
	}
	if s.pretty {
		b.WriteByte('\n')
		b.WriteString(strings.Repeat(s.indent, depth))
	}
}

func (s jsonStyle) close(b *strings.Builder, n, depth int) {
	if s.pretty && n > 0 {
		b.WriteByte('\n')
		b.WriteString(strings.Repeat(s.indent, depth))
	}
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return floatRepr(f)
}

var jsonEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`,
}

func (s jsonStyle) writeString(b *strings.Builder, text string) {
	b.WriteByte('"')
	plain := 0 // bytes that stand as they are
	for plain < len(text) && ' ' <= text[plain] && text[plain] < 0x7f && text[plain] != '"' && text[plain] != '\\' {
		plain++
	}
	b.WriteString(text[:plain])
	for _, r := range text[plain:] {
		if ' ' <= r && r < 0x7f && r != '"' && r != '\\' {
			b.WriteByte(byte(r))
			continue
		}
		escaped, ok := jsonEscapes[r]
		switch {
		case ok:
			b.WriteString(escaped)
		case r < 0x20, s.ascii && r > 0x7e && r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		case s.ascii && r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
