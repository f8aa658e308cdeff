package chatlog

import (
	"bytes"
	"regexp"
	"strings"
)

// injectedTags enclose text that the program put into a user record. As the
// first thing of a record they are cut off; what a person typed may follow.
var injectedTags = []string{
	"system-reminder", "local-command-caveat", "local-command-stdout", "local-command-stderr",
	"command-name", "command-message", "command-args", "command-contents",
	"bash-input", "bash-stdout", "bash-stderr", "task-notification", "user-memory-input",
	"ide_opened_file", "ide_selection", "ide_diagnostics", "new-diagnostics",
	"teammate-message", "cross-session-message", "user-prompt-submit-hook",
}

// injectedPrefixes begin user records that no person wrote.
var injectedPrefixes = []string{
	"Caveat: The messages below were generated",
	"This session is being continued from a previous conversation",
	"Stop hook feedback:",
	"Tool loaded.",
	"[Image: source:",
}

// interruptions mark that the person stopped the model in the middle.
const interruption = "[Request interrupted by user"

// failures begin texts that the program wrote in the model's place.
var failures = []string{
	"No response requested.", "API Error:", "API Error (", "Please run /login",
	"You've hit your session limit", "Claude AI usage limit reached", "Prompt is too long",
	"Invalid API key",
}

const rejection = "The user doesn't want to proceed with this tool use."

// syntheticModel is the model named on records that no model wrote.
const syntheticModel = "<synthetic>"

var (
	pasted  = regexp.MustCompile(`\[Pasted text #\d+( \+\d+ lines)?\]`)
	escapes = regexp.MustCompile("\x1b(\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\))")
)

// promptText returns what a person typed in text. reason is empty, or says why
// part or all of it was left out.
func promptText(text string) (kept, reason string) {
	kept = string(cutReminders([]byte(text)))
	kept, stripped := stripTags(kept)
	kept = plain(kept)
	if strings.HasPrefix(kept, interruption) {
		return "", reasonInterrupted
	}
	for _, prefix := range injectedPrefixes {
		if strings.HasPrefix(kept, prefix) {
			return "", reasonInjected
		}
	}
	switch {
	case pasted.MatchString(kept):
		return "", reasonPasted
	case stripped || len(kept) < len(strings.TrimSpace(text)):
		return kept, reasonInjected
	default:
		return kept, ""
	}
}

// stripTags cuts injected elements off the beginning of text.
func stripTags(text string) (rest string, stripped bool) {
	for {
		text = strings.TrimSpace(text)
		cut, ok := cutTag(text)
		if !ok {
			return text, stripped
		}
		text, stripped = cut, true
	}
}

// cutTag removes one injected element; one that is never closed takes all.
func cutTag(text string) (rest string, ok bool) {
	if !strings.HasPrefix(text, "<") {
		return text, false
	}
	for _, tag := range injectedTags {
		after, found := strings.CutPrefix(text[1:], tag)
		if !found || after == "" || after[0] != '>' && after[0] != ' ' {
			continue
		}
		_, rest, found = strings.Cut(after, "</"+tag+">")
		if !found {
			return "", true
		}
		return rest, true
	}
	return text, false
}

// isFailure tells whether an assistant record was written by the program: an
// API error, a login request, a stub.
func isFailure(r *record) bool {
	if r.APIError || r.message.Model == syntheticModel {
		return true
	}
	if len(r.message.blocks) != 1 || r.message.blocks[0].Type != blockText {
		return false
	}
	for _, prefix := range failures {
		if strings.HasPrefix(r.message.blocks[0].Text, prefix) {
			return true
		}
	}
	return false
}

const (
	reminderStart = "<system-reminder>"
	reminderEnd   = "</system-reminder>"
)

// cutReminders removes injected reminders, and the line ends before each, from
// text, which it may overwrite. One that is never closed stays.
func cutReminders(text []byte) []byte {
	start := bytes.Index(text, []byte(reminderStart))
	if start < 0 {
		return text
	}
	out, rest := text[:0], text
	for start >= 0 {
		n := bytes.Index(rest[start:], []byte(reminderEnd))
		if n < 0 {
			break
		}
		out = append(out, bytes.TrimRight(rest[:start], "\n")...)
		rest = rest[start+n+len(reminderEnd):]
		start = bytes.Index(rest, []byte(reminderStart))
	}
	return append(out, rest...)
}

// plain removes terminal escapes and NUL, and white space at both ends except
// the indentation of the first line.
func plain(text string) string {
	if strings.IndexByte(text, 0x1b) >= 0 {
		text = escapes.ReplaceAllString(text, "")
	}
	text = strings.ReplaceAll(text, "\x00", "")
	return strings.TrimRight(strings.TrimLeft(text, "\r\n"), " \t\r\n")
}

// tidy is plain without reminders for the text of a result, which it may
// overwrite.
func tidy(text []byte) []byte {
	text = cutReminders(text)
	if bytes.IndexByte(text, 0x1b) >= 0 {
		text = escapes.ReplaceAll(text, nil)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		text = bytes.ReplaceAll(text, []byte{0}, nil)
	}
	return bytes.TrimRight(bytes.TrimLeft(text, "\r\n"), " \t\r\n")
}
