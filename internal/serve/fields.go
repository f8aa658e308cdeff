package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
)

// fields reads the parameters of a request one by one, so that every fault
// names its parameter. The first fault stays; what is read after it is zero.
type fields struct {
	raw map[string]json.RawMessage
	err *apiError
}

// readFields reads a JSON object of at most limit bytes.
func readFields(w http.ResponseWriter, r *http.Request, limit int64) (*fields, *apiError) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, newError(http.StatusUnsupportedMediaType, "", "", "send JSON, with the header Content-Type: application/json")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, newError(http.StatusUnsupportedMediaType, "", "", "a body with Content-Encoding %.40q cannot be read; send it plain", e)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyError(err, limit)
	}
	f := &fields{}
	if err := json.Unmarshal(body, &f.raw); err != nil || f.raw == nil {
		return nil, newError(http.StatusBadRequest, "", "", "the body is not a JSON object%s", jsonFault(err, len(body)))
	}
	return f, nil
}

func bodyError(err error, limit int64) *apiError {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return newError(http.StatusRequestEntityTooLarge, "", "", "the body is larger than the %d bytes that this server takes (--max-body)", limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return newError(http.StatusRequestTimeout, "", "", "the body did not arrive in time")
	default:
		return newError(http.StatusBadRequest, "", "", "the body could not be read")
	}
}

// jsonFault tells where JSON goes wrong, without repeating what it holds.
func jsonFault(err error, size int) string {
	var syntax *json.SyntaxError
	switch {
	case size == 0:
		return ": it is empty"
	case errors.As(err, &syntax):
		return ": " + syntax.Error()
	default:
		return ""
	}
}

func (f *fields) fail(e *apiError) {
	if f.err == nil {
		f.err = e
	}
}

// take returns a parameter and marks it as known. Null is absent.
func (f *fields) take(name string) (json.RawMessage, bool) {
	raw, ok := f.raw[name]
	delete(f.raw, name)
	if !ok || f.err != nil || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, false
	}
	return raw, true
}

// ignore marks parameters that change nothing here.
func (f *fields) ignore(names ...string) {
	for _, name := range names {
		delete(f.raw, name)
	}
}

// refuse fails when one of these parameters is there.
func (f *fields) refuse(why string, names ...string) {
	for _, name := range names {
		if _, ok := f.take(name); ok {
			f.fail(badParam(name, "%s: %s", name, why))
		}
	}
}

// done fails when parameters are left that nobody took.
func (f *fields) done() *apiError {
	if f.err == nil && len(f.raw) > 0 {
		names := slices.Sorted(maps.Keys(f.raw))
		f.fail(newError(http.StatusBadRequest, names[0], "unknown_parameter", "unknown parameter: %.60q", names[0]))
	}
	return f.err
}

// into decodes a parameter into v; what says what it should be.
func (f *fields) into(name string, v any, what string) bool {
	raw, ok := f.take(name)
	if !ok {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil {
		f.fail(badParam(name, "%s: want %s", name, what))
		return false
	}
	return true
}

// number reads a number between low and high into v.
func (f *fields) number(name string, v *float32, low, high float64) bool {
	var x float64
	if !f.into(name, &x, "a number") {
		return false
	}
	if x < low || x > high {
		f.fail(badParam(name, "%s: %g is not between %g and %g", name, x, low, high))
		return false
	}
	*v = float32(x)
	return true
}

// count reads an integer between low and high into v.
func (f *fields) count(name string, v *int, low, high int) bool {
	var x int64
	if !f.into(name, &x, "an integer") {
		return false
	}
	if x < int64(low) || x > int64(high) {
		f.fail(badParam(name, "%s: %d is not between %d and %d", name, x, low, high))
		return false
	}
	*v = int(x)
	return true
}

// stringOrList reads "a" or ["a", "b"].
func (f *fields) stringOrList(name string, most int) []string {
	raw, ok := f.take(name)
	if !ok {
		return nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var list []*string
	if err := json.Unmarshal(raw, &list); err != nil {
		f.fail(badParam(name, "%s: want a string or a list of strings", name))
		return nil
	}
	if len(list) > most {
		f.fail(badParam(name, "%s: at most %d are possible", name, most))
		return nil
	}
	var out []string
	for _, s := range list {
		if s == nil {
			f.fail(badParam(name, "%s: null is no string", name))
			return nil
		}
		out = append(out, *s)
	}
	return out
}

// isObject tells whether JSON is an object, without decoding it.
func isObject(raw json.RawMessage) bool {
	return strings.HasPrefix(strings.TrimSpace(string(raw)), "{")
}
