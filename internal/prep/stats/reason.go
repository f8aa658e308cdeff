package stats

import (
	"regexp"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

const (
	maxReasonRunes = 80
	maxReasons     = 64 // distinct ones; more are counted together
	otherReasons   = "other reasons"
)

var digits = regexp.MustCompile(` [0-9]+`)

// reasonOf is the part of an error that many lines share: numbers are left
// out, and what follows the first colon unless that only says where.
func reasonOf(err error) string {
	text := digits.ReplaceAllString(err.Error(), " N")
	head, rest, more := strings.Cut(text, ": ")
	for more && strings.HasSuffix(head, " N") { // message N, turn N, content part N
		var next string
		next, rest, more = strings.Cut(rest, ": ")
		head = next
	}
	if r := []rune(head); len(r) > maxReasonRunes {
		head = string(r[:maxReasonRunes]) + "..."
	}
	return head
}

// addReason counts err, under a name of its own while there are few.
func addReason(t prep.Tally, err error) {
	reason := reasonOf(err)
	if _, known := t[reason]; !known && len(t) >= maxReasons {
		reason = otherReasons
	}
	t.Add(reason, 1)
}
