// Package model reads what a GGUF file says of its decoder: the hyper-parameters, the rotary frequencies, and the weights
// of each block bound to tensors. A file that says something this package does not compute is refused by name: training a
// model slightly wrong is worse than not training it.
package model
