package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

const (
	shownElements = 6  // of an array
	shownText     = 60 // bytes of a value, as text
)

// elide keeps the first elements of a long array, for JSON.
func elide(kv gguf.KV) any {
	switch v := kv.Value.(type) {
	case []uint8:
		return widened(v) // encoding/json would write base64
	case []int8:
		return firstOf(v)
	case []uint16:
		return firstOf(v)
	case []int16:
		return firstOf(v)
	case []uint32:
		return firstOf(v)
	case []int32:
		return firstOf(v)
	case []uint64:
		return firstOf(v)
	case []int64:
		return firstOf(v)
	case []bool:
		return firstOf(v)
	case []string:
		return firstOf(v)
	case []float32:
		return finite(firstOf(v))
	case []float64:
		return finite(firstOf(v))
	case float32:
		return finite([]float32{v})[0]
	case float64:
		return finite([]float64{v})[0]
	}
	return kv.Value
}

func firstOf[T any](v []T) []T { return v[:min(len(v), shownElements)] }

func widened(v []uint8) []int {
	out := []int{}
	for _, x := range firstOf(v) {
		out = append(out, int(x))
	}
	return out
}

// finite replaces what JSON has no number for by text.
func finite[T float32 | float64](v []T) []any {
	out := []any{}
	for _, x := range v {
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			out = append(out, fmt.Sprint(f))
		} else {
			out = append(out, x)
		}
	}
	return out
}

// keyText is a value on one line.
func keyText(kv gguf.KV) string {
	n := kv.Length()
	if n < 0 {
		return oneLine(kv.Value)
	}
	var parts []string
	switch v := elide(kv).(type) {
	case []string:
		for _, s := range v {
			parts = append(parts, strconv.Quote(s))
		}
	default:
		parts = strings.Fields(strings.Trim(fmt.Sprint(v), "[]"))
	}
	text := clipText(strings.Join(parts, ", "))
	if n > shownElements {
		return fmt.Sprintf("%d: %s, ...", n, text)
	}
	return fmt.Sprintf("%d: %s", n, text)
}

func oneLine(v any) string {
	text, ok := v.(string)
	if !ok {
		return fmt.Sprint(v)
	}
	quoted := strconv.Quote(text)
	return clipText(quoted[1 : len(quoted)-1])
}

// clipText shortens text; strconv.Quote has left printable characters only.
func clipText(text string) string {
	if len(text) <= shownText {
		return text
	}
	cut := shownText
	for cut > 0 && text[cut]&0xc0 == 0x80 { // not inside a character
		cut--
	}
	return text[:cut] + "..."
}
