// Package evaluate measures a model, with and without adapters, through
// libllama: what it measures is what users of llama.cpp will run. Samples come
// tokenised and masked from package dataset, so a loss here means the same as
// one in training: the mean over trained tokens, in nats.
package evaluate
