package jinja

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// same compares what the two decoders make of text: the fast one may refuse
// what the other takes, but never the other way round, and never differ.
func same(t *testing.T, text string) (fast bool) {
	t.Helper()
	got, err := decodeFast([]byte(text))
	if err != nil {
		return false
	}
	want, err := decodeSlow([]byte(text))
	if err != nil {
		t.Errorf("%q is no JSON (%v), but became %#v", text, err, got)
	} else if !reflect.DeepEqual(got, want) {
		t.Errorf("%q became %#v, want %#v", text, got, want)
	}
	return true
}

var decodeCases = []struct {
	text string
	fast bool
}{
	{`{"a":1,"b":[true,false,null],"a":{"c":"d"}}`, true},
	{" \t\r\n[ ] \n", true},
	{`{}`, true},
	{`"\u00e9\ud83d\ude00\ud83d\u0041\ud83d x\\\/\"\b\f\n\r\t\ude00"`, true},
	{`[0,-0,1.5,-2e10,1E+3,1e-400,1e400,123456789012345678901234567890,9223372036854775807]`, true},
	{"\"漢字 \u2028\"", true},
	{`{"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9,"10":10,"3":0}`, true},
	{strings.Repeat("[", 500) + strings.Repeat("]", 500), true},
	{strings.Repeat("[", 502) + strings.Repeat("]", 502), false},
	{"\"\xff\"", false},
	{"", false}, {"01", false}, {"1.", false}, {".5", false}, {"-", false}, {"1e", false}, {"+1", false},
	{`{"a":1,}`, false}, {`[1,]`, false}, {`{"a"}`, false}, {`{a:1}`, false}, {`[1 2]`, false}, {`"\x"`, false},
	{"\"\n\"", false}, {`"\u12"`, false}, {`"`, false}, {`"\`, false}, {`tru`, false}, {`1 1`, false}, {`{"a":1`, false}, {`[`, false},
}

func TestDecodersAgree(t *testing.T) {
	for _, c := range decodeCases {
		if fast := same(t, c.text); fast != c.fast {
			t.Errorf("%.60q: fast decoder took it: %t, want %t", c.text, fast, c.fast)
		}
	}
}

// TestDecodersAgreeOnDamage breaks valid JSON by one byte at a random place.
func TestDecodersAgreeOnDamage(t *testing.T) {
	const seed = 3
	r := rand.New(rand.NewPCG(seed, 0))
	for _, c := range decodeCases {
		if len(c.text) > 200 || c.text == "" {
			continue
		}
		for range 500 {
			broken := []byte(c.text)
			broken[r.IntN(len(broken))] = "\"\\{}[],:01e.-tu \n\xffa"[r.IntN(19)]
			same(t, string(broken))
		}
	}
}

func TestDictOfManyKeys(t *testing.T) {
	d := NewDict()
	for round := range 2 {
		for i := range 40 {
			d.Set(fmt.Sprint("k", i), i+round)
			c := d.With("extra", 1)
			if v, ok := d.Get(fmt.Sprint("k", i)); !ok || v != i+round {
				t.Fatalf("round %d, key %d: %v, %t", round, i, v, ok)
			}
			if _, ok := d.Get("extra"); ok || c.Len() != d.Len()+1 {
				t.Fatal("a copy changes the original")
			}
		}
	}
	if keys := d.Keys(); len(keys) != 40 || keys[0] != "k0" || keys[39] != "k39" {
		t.Errorf("keys %v", keys)
	}
}

// FuzzDecode holds the fast decoder to encoding/json.
func FuzzDecode(f *testing.F) {
	for _, c := range decodeCases {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) { same(t, text) })
}
