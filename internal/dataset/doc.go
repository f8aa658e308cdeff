// Package dataset turns JSONL files into fixed-shape micro-batches of tokens.
//
// A run of it is a straight line:
//
//	lines -> records -> chat template -> tokens and loss mask -> packing plan -> batches
//
// Load reads the files, finds out what kind of record each holds, renders
// chats with the model's own template, marks the tokens that carry loss and
// applies the over-length policy; its Report says what was kept and why. The
// resulting Set is immutable: Set.Plan lays its samples out for one epoch as a
// pure function of the set, the epoch and the options, so a resumed run sees
// the same batches as one that never stopped.
//
// The package is pure Go. The vocabulary comes in through Tokenizer.
package dataset
