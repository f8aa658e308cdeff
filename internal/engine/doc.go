// Package engine trains a model on a ggml backend: it lays a decoder out as graphs of training operations, one forward and
// one backward graph a block, built once for a fixed micro-batch shape, and drives them for train.Loop.
//
// The base weights stay in the file's own quantised types. What is trained, be it LoRA adapters or every weight of an F32
// model, lies with its gradient and both AdamW moments in four flat vectors, and the graphs see it through views.
//
// Shapes are written ggml's way, [contiguous dimension, tokens].
package engine
