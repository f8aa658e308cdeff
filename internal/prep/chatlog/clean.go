package chatlog

import (
	"regexp"
	"strings"
	"sync"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// cleanedTools remembers declarations without their secrets: every request of
// a log repeats those of the one before.
type cleanedTools struct {
	lock sync.Mutex
	seen map[string]cleanedTool // by the declaration as it was
}

type cleanedTool struct {
	tool
	found map[string]int
}

// maxCleaned bounds the declarations that are remembered.
const maxCleaned = 1024

// cleanTools removes secrets from what declarations say. Names stay: calls
// hold them too.
func (c *converter) cleanTools(tools []tool, found map[string]int) []tool {
	var out []tool
	for _, t := range tools {
		cleaned := c.cleaned.get(t, c.o.Cleaner)
		for rule, n := range cleaned.found {
			found[rule] += n
		}
		out = append(out, cleaned.tool)
	}
	return out
}

func (c *cleanedTools) get(t tool, cleaner Cleaner) cleanedTool {
	c.lock.Lock()
	defer c.lock.Unlock()
	out, known := c.seen[string(t.json)]
	if !known {
		if len(c.seen) >= maxCleaned {
			clear(c.seen)
		}
		out = cleanTool(t, cleaner)
		c.seen[string(t.json)] = out
	}
	return out
}

func cleanTool(t tool, cleaner Cleaner) cleanedTool {
	out := cleanedTool{found: map[string]int{}}
	clean := func(text string) string { return cleaner.Clean(text, out.found) }
	b := []byte(`{"type":"function","function":{`)
	for o := scan.Members(member(t.json, "function")); o.Next(); {
		b = append(append(append(comma(b, '{'), '"'), o.Key...), '"', ':')
		if string(o.Key) == "name" {
			b = append(b, o.Value...)
		} else {
			b = cleanJSON(b, o.Value, clean)
		}
	}
	out.tool = tool{t.name, append(b, "}}"...)}
	return out
}

// cleanOrigin removes the user's name from the path of the log. Folders of
// sessions are named after the folder that the program worked in, with dashes
// for all that is no letter or digit, so that a name in it may have lost its
// ends: the working folder itself tells. Every log has such a path, so this is
// no reason to drop a conversation.
func (c *converter) cleanOrigin(talk *Conversation, s *session, report *Report) {
	if c.o.Cleaner == nil {
		return
	}
	found := map[string]int{}
	if folder := c.o.Cleaner.Clean(s.folder, found); folder != s.folder {
		if before, after, ok := strings.Cut(talk.Source, dashed(s.folder)); ok {
			talk.Source = before + dashed(folder) + after
			report.redact(found)
			return
		}
	}
	clear(found)
	talk.Source = c.o.Cleaner.Clean(talk.Source, found)
	report.redact(found)
}

var notAlnum = regexp.MustCompile(`[^A-Za-z0-9]`)

// dashed is the name that a session's folder gets from a path.
func dashed(path string) string { return notAlnum.ReplaceAllString(path, "-") }
