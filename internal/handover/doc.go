// Package handover gives what was trained here to other programs, and takes
// what they trained: folders for Ollama and PEFT, PEFT adapters as GGUF files,
// and the model card that says what an adapter is.
//
// Its packages are pure Go and know files only: nothing here computes a model.
package handover
