package scan_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

var documents = []string{
	`{}`, `[]`, `""`, ` { "a" : [ 1 , -2.5e+3 , true , false , null , "x\\\"y" ] , "b" : { } } `,
	`{"a":"\u00e4\ud83d\ude00\ud83d\n\t\/","c":[[[]]]}`, "\"\xff\xc3\"", `"\\"`, `{"a":"\\\\","b":"\\\""}`,
	`{"type":"user","uuid":`, `[1,]`, `{"a" 1}`, `{"a":1,}`, `{"a":1}}`, `[1 2]`, `tru`, `nul l`, `"abc`, `"abc\"`, ``, ` `, `{1:2}`, `[}`, `{]`,
	strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
}

// FuzzScan compares with encoding/json: what that accepts is read alike.
func FuzzScan(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}

func check(t *testing.T, data []byte) {
	t.Helper()
	valid := json.Valid(data)
	if got := scan.Valid(data); valid && !got && !deep(data) {
		t.Fatalf("refused valid JSON %q", data)
	}
	o := scan.Members(data)
	members := map[string]json.RawMessage{}
	for o.Next() {
		if key, ok := scan.String(append(append([]byte{'"'}, o.Key...), '"')); ok {
			members[key] = bytes.Clone(o.Value)
		}
	}
	a := scan.Items(data)
	var items []json.RawMessage
	for a.Next() {
		items = append(items, bytes.Clone(a.Value))
	}
	if !valid || deep(data) {
		return
	}
	sameMembers(t, data, members, o.OK())
	sameItems(t, data, items, a.OK())
	var want string
	isText := json.Unmarshal(data, &want) == nil && scan.Kind(data) == '"'
	if got, ok := scan.String(bytes.TrimSpace(data)); ok != isText || isText && got != want {
		t.Fatalf("String(%q) = %q, %t, want %q", data, got, ok, want)
	}
}

// deep tells whether the nesting may be beyond what is read.
func deep(data []byte) bool {
	return bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > scan.MaxDepth
}

func sameMembers(t *testing.T, data []byte, got map[string]json.RawMessage, ok bool) {
	t.Helper()
	var want map[string]json.RawMessage
	object := scan.Kind(data) == '{'
	if object {
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
	}
	if ok != object || len(got) != len(want) {
		t.Fatalf("%q: ok %t, %d members, want %d", data, ok, len(got), len(want))
	}
	for key, value := range want {
		if string(bytes.TrimSpace(value)) != string(got[key]) {
			t.Fatalf("%q: member %q is %q, want %q", data, key, got[key], value)
		}
	}
}

func sameItems(t *testing.T, data []byte, got []json.RawMessage, ok bool) {
	t.Helper()
	var want []json.RawMessage
	array := scan.Kind(data) == '['
	if array {
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
	}
	if ok != array || len(got) != len(want) {
		t.Fatalf("%q: ok %t, %d items, want %d", data, ok, len(got), len(want))
	}
	for i := range want {
		if string(want[i]) != string(got[i]) {
			t.Fatalf("%q: item %d is %q, want %q", data, i, got[i], want[i])
		}
	}
}

func TestInvalid(t *testing.T) {
	for _, d := range documents {
		if got, want := scan.Valid([]byte(d)), json.Valid([]byte(d)); got != want && !deep([]byte(d)) {
			t.Errorf("Valid(%q) = %t, want %t", d, got, want)
		}
	}
}

func TestAppendQuoted(t *testing.T) {
	for _, text := range []string{"", "plain", "a\"b\\c\n\r\t\b\f\x00\x1f<&>", "äöü\u2028\u2029€😀", "bad\xff\xc3utf", "\x7f"} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(text); err != nil {
			t.Fatal(err)
		}
		if got := scan.AppendQuoted(nil, text); string(got)+"\n" != want.String() {
			t.Errorf("AppendQuoted(%q) = %s, want %s", text, got, want.Bytes())
		}
	}
}
