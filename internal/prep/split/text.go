package split

import (
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// reader gathers the text of a record: what people and models wrote, by which
// records are compared, and the length of all of it.
type reader struct {
	words []string // pieces of text that are compared, in order
	chars int      // characters of all text
	all   []string // pieces of all text, kept for counting tokens
	keep  bool     // keep all
}

func (t *reader) reset() { t.words, t.all, t.chars = t.words[:0], t.all[:0], 0 }

// read gathers the text of r.
func (t *reader) read(r record) {
	t.reset()
	kinds[r.kind].text(t, &r)
}

// add takes text; compared tells whether it counts for similarity.
func (t *reader) add(text string, compared bool) {
	if text == "" {
		return
	}
	t.chars += utf8.RuneCountInString(text)
	if t.keep {
		t.all = append(t.all, text)
	}
	if compared {
		t.words = append(t.words, text)
	}
}

// messages reads a list of role and content. Tool results and system messages
// are not compared: sessions share dumps of files and one long instruction.
func (t *reader) messages(r *record) { t.chat(r.fields["messages"]) }

func (t *reader) chat(list gjson.Result) {
	list.ForEach(func(_, m gjson.Result) bool {
		role := m.Get("role").Str
		compared := role == "user" || role == "assistant"
		t.content(m.Get("content"), compared)
		t.add(m.Get("reasoning_content").Str, compared)
		m.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
			f := call.Get("function")
			t.add(f.Get("name").Str, compared)
			t.strings(f.Get("arguments"), compared)
			return true
		})
		return true
	})
}

// content reads a string, or a list of parts with text.
func (t *reader) content(v gjson.Result, compared bool) {
	if v.Type == gjson.String {
		t.add(v.Str, compared)
		return
	}
	if v.IsArray() {
		v.ForEach(func(_, part gjson.Result) bool {
			t.add(part.Get("text").Str, compared)
			return true
		})
	}
}

// strings reads every string inside v.
func (t *reader) strings(v gjson.Result, compared bool) {
	if v.Type == gjson.String {
		t.add(v.Str, compared)
		return
	}
	if v.IsObject() || v.IsArray() {
		v.ForEach(func(_, inner gjson.Result) bool {
			t.strings(inner, compared)
			return true
		})
	}
}

func (t *reader) shareGPT(r *record) {
	t.add(r.text("system"), false)
	r.fields["conversations"].ForEach(func(_, m gjson.Result) bool {
		from := m.Get("from").Str
		t.add(m.Get("value").Str, from != "system" && from != "observation" && from != "tool")
		return true
	})
}

func (t *reader) fim(r *record) {
	// One piece: the words that a cut divides are words of the file.
	t.add(r.text("prefix")+r.text("middle")+r.text("suffix"), true)
}

func (t *reader) prompt(r *record) {
	for _, name := range []string{"prompt", "completion"} {
		if v := r.fields[name]; v.IsArray() {
			t.chat(v)
		} else {
			t.add(v.Str, true)
		}
	}
}

func (t *reader) alpaca(r *record) {
	t.add(r.text("system"), false)
	t.strings(r.fields["history"], true)
	for _, name := range []string{"instruction", "input", "output"} {
		t.add(r.text(name), true)
	}
}

func (t *reader) plain(r *record) { t.add(r.text("text"), true) }
