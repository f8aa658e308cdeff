package serve

import (
	"encoding/json"
	"net/http"

	"github.com/qlora/qlora/internal/serve/engine"
)

// chatRequest is a request for /v1/chat/completions.
type chatRequest struct {
	common
	prompt   string
	tools    []tool
	choice   toolChoice
	parallel bool // several calls in one answer are welcome
	logprobs bool
	top      int
	family   toolFamily
}

// toolChoice says whether tools are called.
type toolChoice struct {
	mode string // "none", "auto", "required"
	name string // the one that must be called, "" for any
}

func (s *Server) readChat(w http.ResponseWriter, r *http.Request) (chatRequest, *apiError) {
	f, err := readFields(w, r, s.o.MaxBody)
	if err != nil {
		return chatRequest{}, err
	}
	bodyRead(w)
	q := chatRequest{common: s.readCommon(f), parallel: true}
	q.input = "messages"
	messages := readMessages(f)
	tools, forTemplate := readTools(f)
	q.tools = tools
	q.choice = readToolChoice(f, tools)
	f.into("parallel_tool_calls", &q.parallel, "true or false")
	f.into("logprobs", &q.logprobs, "true or false")
	if f.count("top_logprobs", &q.top, 0, 20) && !q.logprobs {
		f.fail(badParam("top_logprobs", "top_logprobs: set logprobs to true as well"))
	}
	f.count("max_tokens", &q.limit, 1, mostTokens)
	f.count("max_completion_tokens", &q.limit, 1, mostTokens)
	format := readFormat(f)
	var extra map[string]any
	f.into("chat_template_kwargs", &extra, "an object")
	readModalities(f)
	f.refuse("this server has text alone", "audio", "web_search_options", "prediction")
	f.refuse("give tools and tool_choice instead", "functions", "function_call")
	if err := f.done(); err != nil {
		return q, err
	}
	return q, s.prepareChat(&q, messages, forTemplate, extra, format)
}

// prepareChat renders the prompt and, where the answer must have a shape,
// writes its grammar.
func (s *Server) prepareChat(q *chatRequest, messages []any, tools any, extra map[string]any, format string) *apiError {
	if err := s.resolve(&q.common); err != nil {
		return err
	}
	t, err := s.template()
	if err != nil {
		return err
	}
	q.family = t.family
	if q.choice.mode == "none" {
		q.tools, tools = nil, nil
	}
	if q.prompt, err = t.render(s.engine.Info(), messages, tools, extra); err != nil {
		return err
	}
	switch {
	case q.choice.mode == "required":
		q.shape = "tools"
		q.sampling.Grammar, err = callGrammar(q.family, q.tools, q.choice.name)
	case format != "":
		q.shape, q.sampling.Grammar = "response_format", format
	}
	return err
}

// readToolChoice takes "none", "auto", "required" or a function.
func readToolChoice(f *fields, tools []tool) toolChoice {
	choice := toolChoice{mode: "auto"}
	raw, ok := f.take("tool_choice")
	if !ok {
		return choice
	}
	var named struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(raw, &choice.mode) != nil {
		if json.Unmarshal(raw, &named) != nil || named.Type != "function" || named.Function.Name == "" {
			choice.mode = ""
		} else {
			choice = toolChoice{"required", named.Function.Name}
		}
	}
	found := choice.name == ""
	for _, t := range tools {
		found = found || t.name == choice.name
	}
	switch {
	case choice.mode != "none" && choice.mode != "auto" && choice.mode != "required":
		f.fail(badParam("tool_choice", "tool_choice: want none, auto, required or a function"))
	case choice.mode == "required" && len(tools) == 0:
		f.fail(badParam("tool_choice", "tool_choice: there are no tools to choose from"))
	case !found:
		f.fail(badParam("tool_choice", "tool_choice: %.64q is not among the tools", choice.name))
	}
	return choice
}

func readModalities(f *fields) {
	var list []string
	if f.into("modalities", &list, "a list") && (len(list) != 1 || list[0] != "text") {
		f.fail(badParam("modalities", "modalities: this server has text alone"))
	}
}

// request is the engine's part.
func (q chatRequest) request(choice int) engine.Request {
	r := q.common.request(choice)
	r.Prompt = engine.Prompt{Text: q.prompt}
	r.Control = len(q.tools) > 0 // calls may begin with a control token
	if q.logprobs {
		r.Logprobs = q.top
	}
	return r
}

func (q chatRequest) splitter() *splitter {
	s := &splitter{family: q.family}
	for _, t := range q.tools {
		s.names = append(s.names, t.name)
	}
	return s
}

// chat answers /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) *apiError {
	q, err := s.readChat(w, r)
	if err != nil {
		return err
	}
	choices := make([]*chatChoice, q.n)
	for i := range choices {
		choices[i] = &chatChoice{index: i, splitter: q.splitter(), parallel: q.parallel}
	}
	head := newHead("chatcmpl-", q.model)
	if q.stream {
		out := &chatStream{sse: newSSE(w), head: head, q: q, choices: choices}
		return s.run(r.Context(), q.common, q.request, out)
	}
	out := &chatAnswer{w: w, head: head, choices: choices}
	return s.run(r.Context(), q.common, q.request, out)
}
