package chatlog

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// response is one answer of the model, put together from its records.
type response struct {
	key        string
	stopReason string
	blocks     []block // text, thinking and tool_use only
	others     int     // blocks of other kinds
}

// mergeResponse joins the records of one response, in file order. Two shapes
// exist, and may follow one another: each record holds what is new, or each
// repeats what came before and extends it.
func mergeResponse(key string, records []*record) response {
	out := response{key: key}
	ended := false
	for _, r := range records {
		blocks := spoken(r.message.blocks)
		out.others += otherBlocks(r.message.blocks)
		if !ended && extends(out.blocks, blocks) {
			out.blocks = overlay(out.blocks, blocks)
		} else {
			out.blocks = appendNew(out.blocks, blocks)
		}
		if r.message.StopReason != "" {
			out.stopReason = r.message.StopReason
		}
		ended = ended || r.message.StopReason == "end_turn"
	}
	return out
}

// otherBlocks counts blocks of kinds that are not used: calls that the service
// answered itself, hidden thinking, and what is not known.
func otherBlocks(blocks []block) int {
	n := 0
	for _, b := range blocks {
		if b.Type != blockText && b.Type != blockThinking && b.Type != blockToolUse {
			n++
		}
	}
	return n
}

// spoken keeps the blocks that end up in a conversation: words, thinking and
// calls.
func spoken(blocks []block) []block {
	var out []block
	for _, b := range blocks {
		switch {
		case (b.Type == blockText || b.Type == blockThinking) && strings.TrimSpace(b.Text) != "":
			out = append(out, b)
		case b.Type == blockToolUse && b.ID != "":
			out = append(out, b)
		}
	}
	return out
}

// extends tells whether next repeats the beginning of have, block by block.
func extends(have, next []block) bool {
	n := min(len(have), len(next))
	for i := range n {
		if !sameBlock(have[i], next[i]) {
			return false
		}
	}
	return n > 0
}

// sameBlock tells whether a and b are one block at two moments.
func sameBlock(a, b block) bool {
	if a.Type != b.Type {
		return false
	}
	if a.Type == blockToolUse {
		return a.ID == b.ID
	}
	return strings.HasPrefix(a.Text, b.Text) || strings.HasPrefix(b.Text, a.Text)
}

// overlay replaces the blocks of have that next repeats by the fuller version
// and adds the rest of next.
func overlay(have, next []block) []block {
	for i, b := range next {
		if i < len(have) {
			have[i] = fuller(have[i], b)
		} else {
			have = append(have, b)
		}
	}
	return have
}

// appendNew adds the blocks of next that have does not hold: calls by id,
// text by equality.
func appendNew(have, next []block) []block {
	for _, b := range next {
		if i := find(have, b); i < 0 {
			have = append(have, b)
		} else {
			have[i] = fuller(have[i], b)
		}
	}
	return have
}

func find(have []block, b block) int {
	for i, h := range have {
		if h.Type != b.Type {
			continue
		}
		if h.Type == blockToolUse && h.ID == b.ID || h.Type != blockToolUse && h.Text == b.Text {
			return i
		}
	}
	return -1
}

// fuller returns the more complete of two versions of one block.
func fuller(a, b block) block {
	if a.Type == blockToolUse {
		if len(b.Input) >= len(a.Input) {
			return b
		}
		return a
	}
	if len(b.Text) >= len(a.Text) {
		return b
	}
	return a
}

// arguments returns the input of a call as a JSON object, its keys in the
// order of the log. ok is false when there is no object in it.
func arguments(raw []byte) (object []byte, ok bool) {
	raw = unquoted(raw)
	if isNull(raw) {
		return []byte("{}"), true
	}
	if raw[0] != '{' || !json.Valid(raw) {
		return nil, false
	}
	return raw, true
}

// unquoted is the input of a call; old logs hold it as a string of JSON.
func unquoted(raw []byte) []byte {
	if scan.Kind(raw) == '"' {
		if text, ok := scan.AppendString(nil, bytes.TrimSpace(raw)); ok && len(text) > 0 {
			raw = text
		}
	}
	return bytes.TrimSpace(raw)
}
