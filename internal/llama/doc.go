// Package llama binds the C interface of libllama: models, vocabularies,
// contexts, LoRA adapters, samplers and quantisation.
//
// Every handle has an idempotent Close, and the order is enforced: a Model
// refuses to close while its contexts or adapters are open, an Adapter while a
// Context applies it. No finalizer frees anything. A Model and its Vocab may be
// used from several goroutines; a Context, with what hangs on it, from one at
// a time.
package llama
