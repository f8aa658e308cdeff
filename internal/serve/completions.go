package serve

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/qlora/qlora/internal/serve/engine"
)

// textRequest is a request for /v1/completions.
type textRequest struct {
	common
	prompts  []engine.Prompt // each is answered n times
	echo     bool
	logprobs int // -1: none
}

const (
	mostPrompts  = 64
	defaultLimit = 16 // OpenAI's
)

func (s *Server) readText(w http.ResponseWriter, r *http.Request) (textRequest, *apiError) {
	f, err := readFields(w, r, s.o.MaxBody)
	if err != nil {
		return textRequest{}, err
	}
	bodyRead(w)
	q := textRequest{common: s.readCommon(f), logprobs: -1}
	q.limit, q.input = defaultLimit, "prompt"
	f.count("max_tokens", &q.limit, 1, mostTokens)
	f.into("echo", &q.echo, "true or false")
	f.count("logprobs", &q.logprobs, 0, 20)
	bestOf := q.n
	if f.count("best_of", &bestOf, 1, mostChoices); bestOf != q.n {
		f.fail(badParam("best_of", "best_of: only the value of n is possible"))
	}
	q.prompts = readPrompts(f)
	s.checkTokens(f, q.prompts)
	s.readSuffix(f, &q)
	if q.echo && q.logprobs >= 0 {
		f.fail(badParam("echo", "echo: probabilities of the prompt are not computed; leave logprobs or echo out"))
	}
	if err := f.done(); err != nil {
		return q, err
	}
	return q, s.resolve(&q.common)
}

// readPrompts takes a string, a list of strings, tokens, or a list of those.
func readPrompts(f *fields) []engine.Prompt {
	raw, ok := f.take("prompt")
	if !ok {
		f.fail(badParam("prompt", "prompt: a prompt is needed"))
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []engine.Prompt{{Text: text}}
	}
	if tokens, ok := tokenList(raw); ok {
		return []engine.Prompt{{Tokens: tokens}}
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 || len(list) > mostPrompts {
		f.fail(badParam("prompt", "prompt: want a string, a list of up to %d strings, or token ids", mostPrompts))
		return nil
	}
	var prompts []engine.Prompt
	for _, one := range list {
		var p engine.Prompt
		if json.Unmarshal(one, &p.Text) != nil {
			if p.Tokens, ok = tokenList(one); !ok {
				f.fail(badParam("prompt", "prompt: want strings or lists of token ids"))
				return nil
			}
		}
		prompts = append(prompts, p)
	}
	return prompts
}

func tokenList(raw json.RawMessage) ([]int32, bool) {
	var tokens []*int32
	if json.Unmarshal(raw, &tokens) != nil || len(tokens) == 0 {
		return nil, false
	}
	out := make([]int32, len(tokens))
	for i, t := range tokens {
		if t == nil {
			return nil, false
		}
		out[i] = *t
	}
	return out, true
}

// checkTokens refuses prompts of tokens that the model does not have.
func (s *Server) checkTokens(f *fields, prompts []engine.Prompt) {
	for _, p := range prompts {
		for _, token := range p.Tokens {
			if size, outside := s.outside(token); outside {
				f.fail(badParam("prompt", "prompt: token %d is outside the model's vocabulary of %d", token, size))
				return
			}
		}
	}
}

// readSuffix makes prompts ones to fill in.
func (s *Server) readSuffix(f *fields, q *textRequest) {
	var suffix string
	if !f.into("suffix", &suffix, "a string") || f.err != nil {
		return
	}
	if info := s.engine.Info(); info.VocabSize > 0 && !info.CanFill {
		f.fail(badParam("suffix", "suffix: the model has no fill-in-the-middle tokens, which a suffix needs"))
		return
	}
	for i, p := range q.prompts {
		if p.Tokens != nil {
			f.fail(badParam("suffix", "suffix: the prompt must be text as well"))
			return
		}
		q.prompts[i].Fill = &engine.Fill{Prefix: p.Text, Suffix: suffix}
	}
}

func (q textRequest) request(choice int) engine.Request {
	r := q.common.request(choice % q.n)
	r.Prompt, r.Logprobs = q.prompts[choice/q.n], q.logprobs
	return r
}

// complete answers /v1/completions.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) *apiError {
	q, err := s.readText(w, r)
	if err != nil {
		return err
	}
	out := &textOutput{w: w, q: q, head: newHead("cmpl-", q.model), choices: make([]textChoice, q.n*len(q.prompts))}
	out.head.Object = "text_completion"
	if q.stream {
		out.sse = newSSE(w)
	}
	for i := range out.choices {
		if prompt := q.prompts[i/q.n]; q.echo {
			out.choices[i].echo = prompt.Text
		}
	}
	return s.runMany(r.Context(), q.common, len(out.choices), q.request, out)
}

// textChoice collects one choice of a completion.
type textChoice struct {
	echo   string // comes first
	text   strings.Builder
	probs  *textLogprobs
	offset int
	finish *engine.Finish
}

// textOutput answers in one piece, or as server-sent events.
type textOutput struct {
	w       http.ResponseWriter
	sse     *sse // nil: in one piece
	q       textRequest
	head    head
	choices []textChoice
	total   usage
}

type textObject struct {
	Text     string        `json:"text"`
	Index    int           `json:"index"`
	Logprobs *textLogprobs `json:"logprobs"`
	Finish   *string       `json:"finish_reason"`
}

// textBody is an answer or a chunk of one.
type textBody struct {
	head
	Choices []textObject `json:"choices"`
	Usage   *usage       `json:"usage,omitempty"`
}

func (o *textOutput) event(choice int, e engine.Event) error {
	c := &o.choices[choice]
	text := c.echo + e.Text
	c.echo = ""
	if len(e.Logprobs) > 0 {
		if c.probs == nil || o.sse != nil {
			c.probs = &textLogprobs{}
		}
		c.offset = c.probs.add(e.Logprobs, c.offset)
	}
	var reason *string
	if e.Finish != nil {
		c.finish, reason = e.Finish, &e.Finish.Reason
		o.total.add(e.Finish, choice%o.q.n == 0)
	}
	if o.sse == nil {
		c.text.WriteString(text)
		return nil
	}
	o.chunk(textBody{head: o.head, Choices: []textObject{{Text: text, Index: choice, Logprobs: c.probs, Finish: reason}}})
	c.probs = nil
	return nil
}

func (o *textOutput) chunk(b textBody) {
	if body, err := json.Marshal(b); err == nil { // strings and numbers encode
		o.sse.data(body)
	}
}

func (o *textOutput) flush() error {
	if o.sse == nil {
		return nil
	}
	return o.sse.send()
}

func (o *textOutput) done() error {
	if o.sse == nil {
		body := textBody{head: o.head, Usage: &o.total}
		for i := range o.choices {
			c := &o.choices[i]
			body.Choices = append(body.Choices, textObject{Text: c.text.String(), Index: i, Logprobs: c.probs, Finish: &c.finish.Reason})
		}
		writeJSON(o.w, http.StatusOK, body)
		return nil
	}
	if o.q.usage {
		o.chunk(textBody{head: o.head, Choices: []textObject{}, Usage: &o.total})
	}
	o.sse.data([]byte("[DONE]"))
	return o.sse.send()
}

func (o *textOutput) broken(e *apiError) *apiError {
	if o.sse == nil {
		return e
	}
	return o.sse.broken(e)
}
