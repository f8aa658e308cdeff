package serve

import (
	"encoding/json"
	"testing"

	"github.com/qlora/qlora/internal/serve/engine"
)

// TestTextLogprobs has tokens that are parts of a character: each keeps a
// spelling of its own, and offsets count characters.
func TestTextLogprobs(t *testing.T) {
	list := []engine.Logprob{
		{Token: "é", Logprob: -1},
		{Token: " \xe2", Logprob: -2, Top: []engine.Alternative{{Token: " \xe2", Logprob: -2}, {Token: " \xe3", Logprob: -3}}},
		{Token: "\x82\xac", Logprob: -4},
		{Token: "x", Logprob: -5},
	}
	var l textLogprobs
	if end := l.add(list[2:], l.add(list[:2], 0)); end != 4 {
		t.Errorf("é €x ends after %d characters", end)
	}
	got, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"tokens":["é","bytes: \\xe2","bytes:\\x82\\xac","x"],"token_logprobs":[-1,-2,-4,-5],` +
		`"top_logprobs":[{},{"bytes: \\xe2":-2,"bytes: \\xe3":-3},{},{}],"text_offset":[0,1,3,3]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
