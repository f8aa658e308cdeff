package split

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzDescribe reads any line as a record. Compacting the JSON and spaces
// around it must change nothing that counts.
func FuzzDescribe(f *testing.F) {
	for _, line := range []string{
		`{"text":"one two three four five six"}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{"a":[1,"x"]}}}]}],"group":["a","b"]}`,
		`{"conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"ho"}],"system":"s"}`,
		`{"prefix":"a b","middle":"c","suffix":"d","path":"x.go","repo":"r","sha256":"0","context":[{"path":"y.go"},"z.go"]}`,
		`{"instruction":"i","output":"o","history":[["a","b"]]}`,
		`{"prompt":[{"role":"user","content":"u"}],"completion":"c"}`,
		`{"text":"\u00c4\ud800 漢字かな ไทย"}`, `{"text":1}`, `{"text":"a","text":{"b":[]}}`, `[[[[`, `{"a`, `null`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		a := newAnalyst(Options{Near: 0.7}, nil)
		got, err := a.describe(trimLine(line))
		if err != nil {
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(trimLine(line))); err != nil {
			t.Fatalf("accepted what is no JSON: %v", err)
		}
		again, err := newAnalyst(Options{Near: 0.7}, nil).describe(compact.String())
		if err != nil {
			t.Fatalf("the compact form is refused: %v", err)
		}
		again.size = got.size
		if !reflect.DeepEqual(got, again) {
			t.Fatalf("the compact form is described otherwise:\n%+v\n%+v", got, again)
		}
	})
}

// FuzzDecodeBlock reads any bytes as a block of a part; what is accepted must
// survive being written again.
func FuzzDecodeBlock(f *testing.F) {
	b := &block{input: 1, start: 2, end: 3, hash: 4, lines: 5, problems: []problem{{1, reasonKind, "text"}}}
	f.Add(b.encode())
	a := newAnalyst(Options{Near: 0.7}, nil)
	a.addLine(b, 7, `{"text":"one two three four five six seven","session":"s","repo":"r","path":"p","sha256":"0"}`)
	f.Add(b.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := decodeBlock(text)
		if err != nil {
			return
		}
		again, err := decodeBlock(got.encode())
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("written again it is another block: %v\n%+v\n%+v", err, got, again)
		}
	})
}

// FuzzBlocks cuts any file into blocks of any size: the records and problems
// are those of the file in one piece, wherever the cuts fall.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte("{\"text\":\"a\"}\n\n {\"text\":\"b\"} \r\n{\"text\":\n{\"text\":\"c\"}"), uint8(1))
	f.Add([]byte("\ufeff{\"text\":\"a\"}\n"), uint8(5))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		whole := readAll(t, data, int64(len(data))+1)
		if pieces := readAll(t, data, int64(size)+1); !reflect.DeepEqual(whole, pieces) {
			t.Fatalf("blocks of %d bytes give\n%+v, want\n%+v", int(size)+1, pieces, whole)
		}
	})
}

// readAll describes a file block by block; problems get the line of the file.
func readAll(t *testing.T, data []byte, size int64) (all block) {
	a := newAnalyst(Options{}, nil)
	for b := range blocksOf([]*Input{{size: int64(len(data))}}, size) {
		if err := a.readBlock(bytes.NewReader(data), b); err != nil {
			t.Fatal(err)
		}
		for _, p := range b.problems {
			p.line += all.lines
			all.problems = append(all.problems, p)
		}
		all.features = append(all.features, b.features...)
		all.lines += b.lines
	}
	return all
}
