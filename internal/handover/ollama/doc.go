// Package ollama writes what Ollama needs to run a model: the Modelfile, in the
// grammar that its documentation describes
// (https://docs.ollama.com/modelfile), with a prompt template in Go's template
// language.
package ollama
