// Package archtest holds the tests that keep the shape of the module: which
// package may import which, where C may appear, and how long a file may grow.
package archtest
