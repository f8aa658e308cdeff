package serve

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/qlora/qlora/internal/serve/engine"
)

// chatChoice collects one choice of a chat.
type chatChoice struct {
	index    int
	splitter *splitter
	parallel bool
	content  strings.Builder
	calls    []toolCall
	logprobs []engine.Logprob
	finish   *engine.Finish
	opened   bool // its first chunk was sent
}

// take adds an event and returns what it brings.
func (c *chatChoice) take(e engine.Event) (content string, calls []toolCall) {
	content, calls = c.splitter.add(e.Text)
	if e.Finish != nil {
		rest, more := c.splitter.end()
		content, calls = content+rest, append(calls, more...)
		c.finish = e.Finish
	}
	if !c.parallel && len(calls) > 0 {
		calls = calls[:1-min(1, len(c.calls))]
	}
	c.calls = append(c.calls, calls...)
	return content, calls
}

// reason is why the choice ended, as OpenAI calls it. One that was cut off says
// so, since a further call may be missing.
func (c *chatChoice) reason() string {
	if len(c.calls) > 0 && c.finish.Reason != engine.ReasonLength {
		return "tool_calls"
	}
	return c.finish.Reason
}

// chatAnswer answers in one piece.
type chatAnswer struct {
	w       http.ResponseWriter
	head    head
	choices []*chatChoice
}

func (a *chatAnswer) event(choice int, e engine.Event) error {
	c := a.choices[choice]
	content, _ := c.take(e)
	c.content.WriteString(content)
	c.logprobs = append(c.logprobs, e.Logprobs...)
	return nil
}

func (a *chatAnswer) flush() error { return nil }

func (a *chatAnswer) broken(e *apiError) *apiError { return e }

// chatMessage is the answer of the model.
type chatMessage struct {
	Role    string     `json:"role"`
	Content *string    `json:"content"` // null beside calls alone
	Refusal *string    `json:"refusal"`
	Calls   []toolCall `json:"tool_calls,omitempty"`
}

type chatChoiceObject struct {
	Index    int           `json:"index"`
	Message  chatMessage   `json:"message"`
	Logprobs *chatLogprobs `json:"logprobs"`
	Finish   string        `json:"finish_reason"`
}

func (a *chatAnswer) done() error {
	a.head.Object = "chat.completion"
	answer := struct {
		head
		Choices []chatChoiceObject `json:"choices"`
		Usage   usage              `json:"usage"`
	}{head: a.head}
	for i, c := range a.choices {
		text := c.content.String()
		m := chatMessage{Role: "assistant", Content: &text, Calls: c.calls}
		if text == "" && len(c.calls) > 0 {
			m.Content = nil
		}
		answer.Choices = append(answer.Choices, chatChoiceObject{Index: i, Message: m, Logprobs: chatProbs(c.logprobs), Finish: c.reason()})
		answer.Usage.add(c.finish, i == 0)
	}
	writeJSON(a.w, http.StatusOK, answer)
	return nil
}

// chatStream answers as server-sent events.
type chatStream struct {
	sse     *sse
	head    head
	q       chatRequest
	choices []*chatChoice
	prefix  []byte // of every chunk
	total   usage
}

// chatDelta is what a chunk adds to the message.
type chatDelta struct {
	Role    string     `json:"role,omitempty"`
	Content *string    `json:"content,omitempty"`
	Calls   []toolCall `json:"tool_calls,omitempty"`
}

type chatChunk struct {
	Index    int           `json:"index"`
	Delta    chatDelta     `json:"delta"`
	Logprobs *chatLogprobs `json:"logprobs"`
	Finish   *string       `json:"finish_reason"`
}

func (s *chatStream) event(choice int, e engine.Event) error {
	c := s.choices[choice]
	content, calls := c.take(e)
	if !c.opened {
		c.opened = true
		none := ""
		s.chunk(chatChunk{Index: choice, Delta: chatDelta{Role: "assistant", Content: &none}})
	}
	if content != "" || len(e.Logprobs) > 0 {
		s.chunk(chatChunk{Index: choice, Delta: chatDelta{Content: &content}, Logprobs: chatProbs(e.Logprobs)})
	}
	for i, call := range calls {
		at := len(c.calls) - len(calls) + i
		call.Index = &at
		s.chunk(chatChunk{Index: choice, Delta: chatDelta{Calls: []toolCall{call}}})
	}
	if e.Finish != nil {
		reason := c.reason()
		s.chunk(chatChunk{Index: choice, Finish: &reason})
		s.total.add(e.Finish, choice == 0)
	}
	return nil
}

// chunk adds a chunk with one choice.
func (s *chatStream) chunk(c chatChunk) {
	body, err := json.Marshal(c)
	if err != nil {
		return // strings and numbers encode
	}
	s.sse.data(append(append(append(s.start(), body...), ']'), s.end()...))
}

// start is the part that all chunks share, up to their choices.
func (s *chatStream) start() []byte {
	if s.prefix == nil {
		s.head.Object = "chat.completion.chunk"
		body, _ := json.Marshal(s.head) // strings and a number
		s.prefix = append(body[:len(body)-1], `,"choices":[`...)
	}
	return s.prefix[:len(s.prefix):len(s.prefix)]
}

// end closes a chunk; where usage is asked for, all but the last have none.
func (s *chatStream) end() string {
	if s.q.usage {
		return `,"usage":null}`
	}
	return "}"
}

func (s *chatStream) flush() error { return s.sse.send() }

func (s *chatStream) done() error {
	if s.q.usage {
		body, _ := json.Marshal(s.total) // numbers
		s.sse.data(append(append(append(s.start(), `],"usage":`...), body...), '}'))
	}
	s.sse.data([]byte("[DONE]"))
	return s.sse.send()
}

func (s *chatStream) broken(e *apiError) *apiError { return s.sse.broken(e) }

// broken sends an error as the last event of a stream that has begun.
func (s *sse) broken(e *apiError) *apiError {
	if !s.begun {
		return e
	}
	body, err := json.Marshal(errorBody{e})
	if err == nil && e.status != statusClientGone {
		s.data(body)
		_ = s.send() // there is no further way to tell the client
	}
	return nil
}
