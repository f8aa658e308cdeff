// Package comparison tells what adapters did to a model, from figures that were
// taken of it and of them on the same samples: differences with confidence
// intervals, a verdict in one sentence, and a page to read.
//
// Nothing here runs a model; package evaluate measures.
package comparison
