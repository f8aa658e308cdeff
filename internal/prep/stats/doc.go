// Package stats measures data files: how many samples of which kind, how long
// they are in tokens, what they are made of, what they repeat, and which lines
// cannot be used.
//
//	lines -> batches -> workers: record, tokens -> in file order: groups -> Report
//
// Memory does not grow with the input: lengths are counted, not kept; names
// are counted up to a limit; fingerprints spill to disk. The result does not
// depend on the number of workers.
//
// A Report is written for a terminal (Text), as a picture (SVG) and as a page
// (HTML).
package stats
