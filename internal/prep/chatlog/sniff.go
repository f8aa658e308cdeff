package chatlog

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"unicode/utf8"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// kind is what a source holds, found by looking at it.
type kind string

const (
	kindUnknown kind = ""
	kindCode    kind = "Claude Code session"
	kindStream  kind = "stream-json capture"
	kindExport  kind = "claude.ai export"
	kindAPI     kind = "Messages API log"
	kindBatch   kind = "Message Batches requests"
	kindResults kind = "Message Batches results"
)

const (
	firstLook = 64 << 10 // bytes of a source that are looked at first
	lastLook  = 64 << 20 // and at most, when its first record is a long one
	lookLines = 64       // lines that are tried
)

// sniff finds out what r holds from its first lines. A first line that is
// longer than a look is looked at again, further.
func sniff(r io.Reader) (kind, error) {
	var seen bytes.Buffer
	for look := firstLook; ; look *= 8 {
		_, err := io.CopyN(&seen, r, int64(look-seen.Len()))
		whole := errors.Is(err, io.EOF)
		if err != nil && !whole {
			return kindUnknown, err
		}
		k, undecided := judge(seen.Bytes(), whole)
		if k != kindUnknown || !undecided || whole || look >= lastLook {
			return k, nil
		}
	}
}

// requestList is how the body of a call that makes a batch begins.
var requestList = regexp.MustCompile(`^\{\s*"requests"\s*:\s*\[`)

// judge decides by the lines of head. undecided tells that what follows might
// say more.
func judge(head []byte, whole bool) (k kind, undecided bool) {
	head = bytes.TrimPrefix(head, []byte("\ufeff"))
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 || bytes.IndexByte(head[:min(len(head), 512)], 0) >= 0 {
		return kindUnknown, false
	}
	if list := requestList.Find(head); list != nil {
		head = head[len(list)-1:]
	}
	if head[0] == '[' || spread(head) {
		return judgeValues(head, whole)
	}
	for range lookLines {
		line, rest, complete := bytes.Cut(head, []byte("\n"))
		if k := judgeLine(line); k != kindUnknown {
			return k, false
		}
		if !complete {
			return kindUnknown, !whole && scan.Kind(line) == '{' && utf8.RuneStart(line[0])
		}
		head = rest
	}
	return kindUnknown, false
}

// spread tells whether head begins with an object that is written over several
// lines.
func spread(head []byte) bool {
	first, _, more := bytes.Cut(head, []byte("\n"))
	return more && string(bytes.TrimSpace(first)) == "{"
}

// judgeValues decides by the first object of an array, or an object that is
// spread over lines.
func judgeValues(head []byte, whole bool) (k kind, undecided bool) {
	if head[0] == '[' {
		head = bytes.TrimLeft(head[1:], " \t\r\n")
	}
	k = judgeObject(head)
	return k, k == kindUnknown && !whole && scan.Kind(head) == '{' && scan.Skip(head, 0) < 0
}

func judgeLine(line []byte) kind {
	line = bytes.TrimSpace(line)
	for _, field := range [][]byte{[]byte("event:"), []byte("data:")} {
		rest, ok := bytes.CutPrefix(line, field)
		rest = bytes.TrimSpace(rest)
		if ok && (streamEvents[string(rest)] || judgeObject(rest) == kindAPI) {
			return kindAPI
		}
	}
	return judgeObject(line)
}

// streamEvents are the types of the events of a streamed response.
var streamEvents = map[string]bool{
	"message_start": true, "content_block_start": true, "content_block_delta": true, "content_block_stop": true,
	"message_delta": true, "message_stop": true, "ping": true, "error": true,
}

// codeTypes are the types of records that only session files have.
var codeTypes = map[string]bool{
	"summary": true, "custom-title": true, "ai-title": true, "last-prompt": true, "queue-operation": true, "attachment": true,
	"progress": true, "file-history-snapshot": true, "mode": true, "permission-mode": true, "agent-name": true, "pr-link": true,
	"user": true, "assistant": true, "system": true,
}

// judgeObject decides by the members of one object, whose end may be missing.
func judgeObject(raw []byte) kind {
	seen := map[string]string{}
	o := scan.Members(raw)
	for o.Next() {
		value := ""
		switch string(o.Key) {
		case "type", "subtype", "role":
			value = scan.Text(o.Value)
		}
		seen[string(o.Key)] = value
	}
	if _, known := seen[string(o.Key)]; !known && !o.OK() {
		seen[string(o.Key)] = "" // its value is cut off
	}
	has := func(key string) bool { _, ok := seen[key]; return ok }
	any := func(keys ...string) bool {
		for _, key := range keys {
			if has(key) {
				return true
			}
		}
		return false
	}
	t := seen["type"]
	switch {
	case has("chat_messages"):
		return kindExport
	case codeTypes[t] && any("parentUuid", "leafUuid", "sessionId", "isSidechain"):
		return kindCode
	case any("session_id", "parent_tool_use_id") && (codeTypes[t] || t == "result" || t == "stream_event"):
		return kindStream
	case isExchange(seen), has("messages") && any("model", "max_tokens"), t == "message" && has("role") && has("content"):
		return kindAPI
	case has("custom_id") && has("params"):
		return kindBatch
	case has("custom_id") && has("result"):
		return kindResults
	case streamEvents[t] && any("message", "index", "delta", "content_block"):
		return kindAPI
	case (t == typeUser || t == typeAssistant) && has("message"), codeTypes[t] && has("uuid"):
		return kindCode
	}
	return kindUnknown
}

// isExchange tells whether an object has a request and its response, under any
// of the names that logs use.
func isExchange(members map[string]string) bool {
	var request, response bool
	for key := range members {
		request = request || requestKeys[key]
		response = response || responseKeys[key]
	}
	return request && response
}

var (
	requestKeys  = map[string]bool{"request": true, "request_body": true, "requestBody": true, "req": true, "params": true}
	responseKeys = map[string]bool{"response": true, "response_body": true, "responseBody": true, "resp": true, "result": true}
)
