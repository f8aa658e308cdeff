// Package fim turns the source files of repositories into fill-in-the-middle
// records, or into plain text.
//
//	tracked files -> filters -> spans -> windows -> records
//
// A record is a window of one file, cut in three: the middle is what the model
// learns to write, prefix and suffix are what it sees. The three together are
// the window byte for byte. The window is chosen around the span, so a record
// never has to be cut again to fit a context.
//
// Spans are chosen per file from a random stream that the seed, the
// repository's name and the file's path determine. Neither the number of
// workers nor the other files change what a file yields.
package fim
