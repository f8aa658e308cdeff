// Package extsort sorts more byte strings than fit in memory: runs of bounded
// size are sorted and written to disk, then merged while they are read.
//
// The files have no name from the moment they are open, so that nothing is left
// behind however the process ends.
package extsort
