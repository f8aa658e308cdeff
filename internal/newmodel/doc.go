// Package newmodel writes a GGUF model that has learned nothing yet: weights
// drawn at random, a vocabulary trained on given text, and all the metadata
// that libllama and the trainer read. `qlora init` is its command; the embedded
// model begins here.
package newmodel
