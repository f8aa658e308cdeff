// Package show prints single records of data files so that a person can judge
// them: who says what, what is called and what comes back, where the hole is,
// and which part is trained.
package show
