// Package split merges data files and divides their records into a part to
// train on and a part to evaluate on, so that nothing evaluated has a near copy
// in training.
//
// The inputs are cut into blocks, which workers describe: for each record its
// content's hash, the names of what it belongs to, and a MinHash signature of
// its runs of words. From the descriptions follows everything else: which
// records are duplicates, exact or near (those that meet in a band of the
// signatures are read again and compared exactly), which groups are related,
// and which are evaluated. A second pass copies the lines. Descriptions may be
// made in parts, on other machines.
//
// Groups are divided by a hash of seed and content, so neither the order of the
// inputs nor the number of workers plays a part. Each kind of record and each
// input is divided by itself: the evaluation part of a mixture is a mixture.
//
// A manifest beside the two outputs says what went into them. It is also how a
// later run knows its own outputs when a pattern such as data/*.jsonl picks
// them up.
package split
