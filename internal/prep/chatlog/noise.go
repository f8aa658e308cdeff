package chatlog

import (
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
	reminder = regexp.MustCompile(`(?s)\n*<system-reminder>.*?</system-reminder>`)
	pasted   = regexp.MustCompile(`\[Pasted text #\d+( \+\d+ lines)?\]`)
	escapes  = regexp.MustCompile("\x1b(\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\))")
)

// promptText returns what a person typed in text. reason is empty, or says why
// part or all of it was left out.
func promptText(text string) (kept, reason string) {
	kept = reminder.ReplaceAllString(text, "")
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

// resultText is the text of a tool result as the model saw it, without
// injected reminders and terminal colours.
func resultText(b block) string {
	parts, ok := parseContent(b.Content)
	if !ok {
		return ""
	}
	var texts []string
	for _, p := range parts {
		switch p.Type {
		case blockText:
			texts = append(texts, p.Text)
		case blockImage, blockDocument:
			texts = append(texts, "["+p.Type+"]")
		}
	}
	return plain(reminder.ReplaceAllString(strings.Join(texts, "\n"), ""))
}

// plain removes terminal escapes and NUL, and white space at both ends except
// the indentation of the first line.
func plain(text string) string {
	text = escapes.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\x00", "")
	return strings.TrimRight(strings.TrimLeft(text, "\r\n"), " \t\r\n")
}

// shorten cuts the middle out of a text longer than limit bytes and says how
// much is missing. limit 0 keeps everything.
func shorten(text string, limit int) (string, bool) {
	if limit <= 0 || len(text) <= limit {
		return text, false
	}
	head, tail := runeStart(text, limit*3/4), runeStart(text, len(text)-limit/4)
	return text[:head] + "\n[" + count(tail-head, "byte") + " omitted]\n" + text[tail:], true
}

// runeStart moves i back to the start of a character.
func runeStart(text string, i int) int {
	for i > 0 && i < len(text) && text[i]&0xC0 == 0x80 {
		i--
	}
	return i
}
