// Package bpe trains and applies byte-level byte-pair vocabularies of the kind
// that llama.cpp calls tokenizer.ggml.model = "gpt2": text is cut into words by
// a pre-tokeniser, the bytes of each word are spelt with 256 printable runes,
// and the most frequent neighbouring pair is merged again and again until the
// vocabulary is full.
//
// The pre-tokeniser is the one named "llama-bpe" (Llama 3). It suits code:
// punctuation takes the line break after it along ("{\n" is one word), an
// identifier takes the tab, dot or space before it along, and digits come in
// groups of at most three. libllama has a hand-written, linear implementation
// of exactly this rule, and Split reproduces it.
//
// Training is deterministic: the same words with the same counts give the same
// merges, whatever the order in which the texts were added.
package bpe

// PreTokenizer is the value of tokenizer.ggml.pre that makes libllama cut text
// the way Split does.
const PreTokenizer = "llama-bpe"
