// Package shard lets one command be run in several parts, on one machine or on
// many, whose outputs are merged into the bytes that one whole run gives.
//
// A command gives each of its units of work (a file, a session) to exactly one
// part by a hash of the unit's name. Beside the output of a part, OUT, lies
// OUT.shard.json: one JSON value a line, the header, then for every record
// [order, id, rank, bytes], then a footer with the size and hash of OUT. Merge
// sorts all records by order and keeps one record of each id.
//
// A whole run sorts and chooses with the same code, so that both ways agree by
// construction. Memory is bounded: keys are sorted on disk beyond a budget, and
// one bit is kept for every record.
package shard
