// Package split merges data files and divides their records into a part to
// train on and a part to evaluate on.
//
// Records that must not be torn apart, such as the conversations of one
// session or the windows of one file, form a group, and a group goes to one
// side as a whole. Exact duplicates are removed first. Which groups are
// evaluated follows from the seed and the groups' names alone, so neither the
// order of the inputs nor the clock plays a part. Each kind of record is
// divided by itself: the evaluation part of a mixture is a mixture.
//
// A manifest beside the two outputs says what went into them. It is also how a
// later run knows its own outputs when a pattern such as data/*.jsonl picks
// them up.
package split
