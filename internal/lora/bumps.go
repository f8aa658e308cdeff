package lora

import "github.com/qlora/qlora/internal/gguf"

// The tensors that suffer most from few bits get more of them. Every rule
// here is llama.cpp's.

// outer says whether block i of n is among those that the _m mixtures keep
// finer: the first and last eighth, and every third between.
func outer(i, n int) bool {
	return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2
}

// head is the type of the output matrix.
func (c *chooser) head() gguf.Type {
	if c.falcon || c.Base == gguf.Q8_0 {
		return gguf.Q8_0
	}
	return gguf.Q6_K
}

// attnV is the type of the i-th value projection.
func (c *chooser) attnV(i int) gguf.Type {
	t := c.Base
	switch {
	case c.is("q2_k") && c.grouped >= 4:
		t = gguf.Q4_K
	case c.is("q2_k"):
		t = gguf.Q3_K
	case c.is("q3_k_m") && i < 2, c.is("q3_k_l"):
		t = gguf.Q5_K
	case c.is("q3_k_m"):
		t = gguf.Q4_K
	case c.is("iq4_nl", "iq4_xs") && c.grouped >= 4:
		t = gguf.Q5_K
	case c.is("q4_k_m", "q5_k_m") && outer(i, c.values):
		t = gguf.Q6_K
	case c.is("q4_k_s") && i < 4:
		t = gguf.Q5_K
	}
	if c.llama70B && (t == gguf.Q3_K || t == gguf.Q4_K) {
		t = gguf.Q5_K
	}
	if c.experts == 8 {
		t = gguf.Q8_0
	}
	return t
}

// ffnDown is the type of the down projection of block i.
func (c *chooser) ffnDown(i int) gguf.Type {
	n := c.layers
	switch {
	case c.is("q2_k"):
		return gguf.Q3_K
	case c.is("q3_k_m") && i < n/16:
		return gguf.Q5_K
	case c.is("q3_k_m") && (!c.falcon || outer(i, n)):
		return gguf.Q4_K
	case c.is("q3_k_l") && !c.falcon:
		return gguf.Q5_K
	case c.is("q3_k_l"):
		return gguf.Q4_K
	case c.is("q4_k_m") && c.falcon:
		return c.falconDown(i)
	case c.is("q4_k_m", "q5_k_m") && outer(i, n):
		return gguf.Q6_K
	case c.is("iq4_nl", "iq4_xs") && i < n/8:
		return gguf.Q5_K
	case c.is("q4_k_s") && !c.falcon && i < n/8:
		return gguf.Q5_K
	}
	return c.Base
}

func (c *chooser) falconDown(i int) gguf.Type {
	switch {
	case i < c.layers/16:
		return gguf.Q6_K
	case outer(i, c.layers):
		return gguf.Q5_K
	}
	return gguf.Q4_K
}

// attnOutput is the type of the projection after attention.
func (c *chooser) attnOutput() gguf.Type {
	switch {
	case c.falcon && c.is("q3_k_l"):
		return gguf.Q4_K
	case c.falcon:
		return c.Base
	case c.experts == 8:
		if c.is("q2_k", "q3_k_s", "q3_k_m", "iq4_nl", "iq4_xs", "q4_k_s", "q4_k_m") {
			return gguf.Q5_K
		}
	case c.is("q2_k"):
		return gguf.Q3_K
	case c.is("q3_k_m"):
		return gguf.Q4_K
	case c.is("q3_k_l"):
		return gguf.Q5_K
	}
	return c.Base
}

// attnQKV is the type of a fused query, key and value projection.
func (c *chooser) attnQKV() gguf.Type {
	switch {
	case c.is("q3_k_m", "q3_k_l"):
		return gguf.Q4_K
	case c.is("q4_k_m"):
		return gguf.Q5_K
	case c.is("q5_k_m"):
		return gguf.Q6_K
	}
	return c.Base
}
