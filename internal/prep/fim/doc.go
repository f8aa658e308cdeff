// Package fim turns the source files of repositories into fill-in-the-middle
// records, or into plain text.
//
//	listing -> filters -> spans -> windows -> (context) -> records
//
// A record is a window of one file, cut in three: the middle is what the model
// learns to write, prefix and suffix are what it sees. The three together are
// the window byte for byte. The window is chosen around the span, so a record
// never has to be cut again to fit a context. A record of the repository level
// also carries other files, or the starts of them: what the file imports and
// its neighbours, in the order of dependency.
//
// Everything random about a file comes from a stream that the seed and the
// file's content determine. Neither the number of workers nor the other files
// change what a file yields, and copies of a file yield the same records, so
// that those of all copies but the first can be left out by whoever joins the
// parts of a divided run.
package fim
