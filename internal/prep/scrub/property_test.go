package scrub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// leftOver names the rule of a secret that was found in text and is in got;
// short ones and personal data may be ordinary words elsewhere.
func leftOver(s *Scrubber, text, got string) string {
	sc := s.scans.Get().(*scan)
	defer s.scans.Put(sc)
	for _, sp := range s.find(sc, text) {
		if !sp.rule.personal() && sp.end-sp.start >= everywhereFrom && strings.Contains(got, text[sp.start:sp.end]) {
			return sp.rule.id
		}
	}
	return ""
}

// stringsOf lists the strings of a JSON value in the order of the text.
func stringsOf(t *testing.T, value []byte) []string {
	t.Helper()
	var list []string
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(string); ok {
			list = append(list, text)
		}
	}
}

// filler is text between secrets.
var filler = []string{
	"func main() {\n\treturn nil\n}\n", "The quick brown fox.\n", "für die Größe 日本語 \U0001f600\n", "\x00\t\x1b[0m\r\n", "{\"a\": \"b\\n\"}\n", "a_b-c://d@e\n", "= ", "\"", "'", "\\", "<redacted-", "-----",
}

// document mixes pieces of text and planted secrets, each of them twice.
func document(p planter, kinds []plant, pieces int) (text string, planted []string) {
	var b strings.Builder
	for range pieces {
		b.WriteString(filler[p.IntN(len(filler))])
		if p.IntN(4) > 0 {
			continue
		}
		secret, written := kinds[p.IntN(len(kinds))].make(p)
		planted = append(planted, secret)
		place := surroundings[p.IntN(len(surroundings))]
		b.WriteString(fmt.Sprintf(place, written) + fmt.Sprintf(surroundings[0], written))
	}
	return b.String(), planted
}

// TestFoundSecretsAreGone: in random documents, short and of hundreds of
// kilobytes, plain and in JSON, no secret that was found is left.
func TestFoundSecretsAreGone(t *testing.T) {
	const seed = 31
	s := mustNew(t, Options{})
	p := planter{rand.New(rand.NewPCG(seed, 0))}
	kinds := slices.Concat(plants, heldOut)
	sizes := []int{1, 3, 10, 30, 100, 300}
	gone, total := 0, 0
	for i := range 48 {
		text, planted := document(p, kinds, sizes[i%len(sizes)])
		if i == 0 {
			text += strings.Repeat(filler[0], 1<<13) + text
		}
		got := s.Clean(text, nil)
		if left := leftOver(s, text, got); left != "" {
			t.Errorf("seed %d, document %d: a secret of rule %s is left", seed, i, left)
		}
		for _, secret := range planted {
			total++
			if !strings.Contains(got, secret) {
				gone++
			}
		}
		checkEscapes(t, s, text, p.IntN(2) == 0)
	}
	if total < 500 || float64(gone) < 0.9*float64(total) {
		t.Errorf("seed %d: %d of %d planted secrets are gone", seed, gone, total)
	}
}

// checkEscapes cleans text as a JSON string, every character of it written as
// an escape if all is set, and compares with the plain text cleaned.
func checkEscapes(t *testing.T, s *Scrubber, text string, all bool) {
	t.Helper()
	text = strings.ToValidUTF8(text, "?")
	literal, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	if all {
		literal = escaped(text)
	}
	got, err := s.CleanJSON(slices.Concat([]byte(`{"text": `), literal, []byte(`, "n": 1.50}`)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(got, []byte(`, "n": 1.50}`)) || stringsOf(t, got)[1] != s.Clean(text, nil) {
		t.Errorf("cleaning in JSON gives other text (all escaped: %t)", all)
	}
}

// escaped writes text as a JSON string of \u escapes only.
func escaped(text string) []byte {
	var b bytes.Buffer
	b.WriteByte('"')
	for _, r := range text {
		if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	b.WriteByte('"')
	return b.Bytes()
}

// TestConcurrentClean: many goroutines get what one gets, counts included.
func TestConcurrentClean(t *testing.T) {
	const seed = 37
	p := planter{rand.New(rand.NewPCG(seed, 0))}
	texts := make([]string, 60)
	for i := range texts {
		texts[i], _ = document(p, slices.Concat(plants, heldOut), 12)
	}
	type result struct {
		text   string
		counts map[string]int
	}
	clean := func(s *Scrubber, text string) result {
		r := result{counts: map[string]int{}}
		r.text = s.Clean(text, r.counts)
		return r
	}
	serial := mustNew(t, Options{IPs: true})
	var want []result
	for _, text := range texts {
		want = append(want, clean(serial, text))
	}
	shared := mustNew(t, Options{IPs: true})
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := range texts {
				k := (i*7 + worker*11) % len(texts)
				if got := clean(shared, texts[k]); got.text != want[k].text || !maps.Equal(got.counts, want[k].counts) {
					t.Errorf("seed %d: text %d differs when cleaned beside others", seed, k)
				}
			}
		})
	}
	group.Wait()
}
