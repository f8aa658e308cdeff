// Package card writes the model card of an adapter or a merged model: a
// README.md with the YAML front matter that model hubs read
// (https://huggingface.co/docs/hub/model-cards), saying what it was made from,
// with which settings and data, and how it measured.
//
// A card is meant to be published. It takes the names of files without their
// folders, and of a run's settings only those listed in this package.
package card
