// Package dist joins the processes that train one model together, one a GPU.
//
// A launcher (torchrun, mpirun, Slurm, or train --devices) tells each process
// its rank through environment variables. Rank 0 listens, the others connect
// to it, and what they do together from then on goes over those connections:
// every rank makes the same calls in the same order.
//
// Sums are added in the order of the ranks, so that all ranks hold the same
// bytes, in every run. A rank that fails tells the others why; one that dies or
// falls silent is noticed, and every pending and later call returns an error.
//
// A nil *Group is a process alone: rank 0 of 1, for which every call is done
// at once. The package is pure Go.
package dist
