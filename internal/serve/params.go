package serve

import (
	"math/rand/v2"
	"strconv"

	"github.com/qlora/qlora/internal/serve/engine"
)

// common are the parameters of chat and of completions.
type common struct {
	model    string // as asked for, or the base's name
	adapter  string // "" for the base
	sampling engine.Sampling
	seeded   bool
	limit    int
	n        int
	stop     []string
	stream   bool
	usage    bool // usage at the end of a stream
	endLess  bool
	input    string // the parameter that the prompt comes from
	shape    string // the parameter that the grammar comes from, "" without one
}

const (
	mostStops   = 16
	longestStop = 256  // bytes; every token is compared with all of them
	mostBiases  = 1024 // likewise
	mostChoices = 128
	mostTokens  = 1 << 24
)

// readCommon takes them from f.
func (s *Server) readCommon(f *fields) (c common) {
	c.n, c.sampling = 1, s.o.Sampling
	f.into("model", &c.model, "a string")
	f.number("temperature", &c.sampling.Temp, 0, 2)
	f.count("top_k", &c.sampling.TopK, 0, mostTokens)
	if f.number("top_p", &c.sampling.TopP, 0, 1) && c.sampling.TopP == 0 {
		c.sampling.TopK = 1 // the engine takes 0 for no limit
	}
	f.number("min_p", &c.sampling.MinP, 0, 1)
	f.number("repeat_penalty", &c.sampling.Repeat, 0.01, 10)
	f.number("frequency_penalty", &c.sampling.Frequency, -2, 2)
	f.number("presence_penalty", &c.sampling.Presence, -2, 2)
	f.count("n", &c.n, 1, mostChoices)
	f.into("stream", &c.stream, "true or false")
	f.into("ignore_eos", &c.endLess, "true or false")
	s.readSeed(f, &c)
	readStops(f, &c)
	s.readBias(f, &c)
	readStreamOptions(f, &c)
	// accepted for the sake of clients that always send them; the answer is the same
	f.ignore("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
		"cache_prompt", "id_slot", "reasoning_effort", "verbosity")
	return c
}

func (s *Server) readSeed(f *fields, c *common) {
	var seed int64
	if c.seeded = f.into("seed", &seed, "an integer"); c.seeded {
		c.sampling.Seed = uint32(seed) ^ uint32(seed>>32)
	} else {
		c.sampling.Seed = rand.Uint32()
	}
}

func readStops(f *fields, c *common) {
	c.stop = f.stringOrList("stop", mostStops)
	for _, stop := range c.stop {
		if stop == "" {
			f.fail(badParam("stop", "stop: an empty string stops nothing"))
		}
		if len(stop) > longestStop {
			f.fail(badParam("stop", "stop: at most %d bytes each", longestStop))
		}
	}
}

// readBias takes token ids, as strings, with what is added to their logits.
func (s *Server) readBias(f *fields, c *common) {
	var biases map[string]float32
	if !f.into("logit_bias", &biases, "an object of token ids and numbers") {
		return
	}
	if len(biases) > mostBiases {
		f.fail(badParam("logit_bias", "logit_bias: at most %d tokens", mostBiases))
		return
	}
	c.sampling.Bias = map[int32]float32{}
	for token, bias := range biases {
		id, err := strconv.ParseInt(token, 10, 32)
		if err != nil || bias < -100 || bias > 100 {
			f.fail(badParam("logit_bias", "logit_bias: want token ids with numbers from -100 to 100"))
			return
		}
		if size, outside := s.outside(int32(id)); outside {
			f.fail(badParam("logit_bias", "logit_bias: token %d is outside the model's vocabulary of %d", id, size))
			return
		}
		c.sampling.Bias[int32(id)] = bias
	}
}

// outside tells whether the vocabulary, of that size, has no such token. While no
// model is loaded there is none to ask; the engine refuses what is left.
func (s *Server) outside(token int32) (size int, outside bool) {
	size = s.engine.Info().VocabSize
	return size, size > 0 && (token < 0 || int(token) >= size)
}

func readStreamOptions(f *fields, c *common) {
	var o struct {
		IncludeUsage       bool `json:"include_usage"`
		IncludeObfuscation bool `json:"include_obfuscation"` // nothing is ever padded
	}
	if f.into("stream_options", &o, "an object with include_usage") {
		c.usage = o.IncludeUsage
		if !c.stream {
			f.fail(badParam("stream_options", "stream_options: only streams have them; set stream to true"))
		}
	}
}

// resolve finds the adapter that the model name stands for.
func (s *Server) resolve(c *common) *apiError {
	info := s.engine.Info()
	if c.model == "" || c.model == info.Model {
		c.model = info.Model
		return nil
	}
	for _, name := range info.Adapters {
		if name == c.model {
			c.adapter = name
			return nil
		}
	}
	return newError(404, "model", "model_not_found", "the model %.100q does not exist; see /v1/models", c.model)
}

// blamed is the parameter that the engine refuses when it calls a request invalid.
func (c common) blamed() string {
	if c.shape != "" {
		return c.shape
	}
	return c.input
}

// request is the engine's part of them, for the choice with that index.
func (c common) request(choice int) engine.Request {
	r := engine.Request{Adapter: c.adapter, Sampling: c.sampling, Limit: c.limit, Stop: c.stop, Logprobs: -1, EndLess: c.endLess}
	r.Sampling.Seed += uint32(choice) // otherwise all choices were the same
	return r
}
