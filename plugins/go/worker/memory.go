//go:build go1.19
// +build go1.19

package worker

import "runtime/debug"

// limitMemory tunes the garbage collector for a worker with that much memory: rare collections while there is room,
// eager ones near the limit.
func limitMemory(bytes int64) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(bytes / 10 * 8)
}
