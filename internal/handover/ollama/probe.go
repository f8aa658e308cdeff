package ollama

import (
	"fmt"
	"strings"
)

// probes are chats that the two templates must write alike.
var probes = [][]Message{
	{{"user", "one"}},
	{{"system", "zero"}, {"user", "one"}},
	{{"system", "zero"}, {"user", "one"}, {"assistant", "two"}, {"user", "three\nlines\n  of it"}},
	{{"user", "one"}, {"assistant", "two"}, {"user", "three"}, {"assistant", "four"}, {"user", "five"}},
}

// compare says where the two templates part, or nothing.
func compare(text, system string, render Render) string {
	for _, messages := range probes {
		want, err := render(messages)
		if err != nil {
			continue // the model's own template refuses it: no rule to keep
		}
		if messages[0].Role != "system" && system != "" { // as Ollama does with SYSTEM
			messages = append([]Message{{"system", system}}, messages...)
		}
		got, err := execute(text, messages)
		if err != nil {
			return err.Error()
		}
		if got != want {
			return difference(got, want)
		}
	}
	return ""
}

// difference shows the first place at which two texts part.
func difference(got, want string) string {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	excerpt := func(s string) string { return s[max(0, at-12):min(len(s), at+24)] }
	return fmt.Sprintf("%q where the model's own has %q", excerpt(got), excerpt(want))
}

// defaultSystem is the system message that a model's template writes by itself
// when the chat has none: what stands where a given one would.
func defaultSystem(render Render) string {
	const mark = "a system message to look for"
	with, err := render([]Message{{"system", mark}, {"user", "one"}})
	if err != nil {
		return ""
	}
	without, err := render([]Message{{"user", "one"}})
	before, after, found := strings.Cut(with, mark)
	if err != nil || !found || len(without) < len(before)+len(after) {
		return ""
	}
	if !strings.HasPrefix(without, before) || !strings.HasSuffix(without, after) {
		return ""
	}
	return without[len(before) : len(without)-len(after)]
}
