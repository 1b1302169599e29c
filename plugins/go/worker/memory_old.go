//go:build !go1.19
// +build !go1.19

package worker

// limitMemory does nothing: without a soft limit (Go 1.19), rarer collections could run into the hard one.
func limitMemory(int64) {}
