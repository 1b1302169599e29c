package worker

import (
	"syscall"
	"time"
	"unsafe"
)

const clockMonotonic = 1 // clock_gettime(2)

// monotonic is a moment as Go and as CLOCK_MONOTONIC have it: Go shows the latter in differences only.
type monotonic struct {
	at   time.Time
	nano int64
}

var clock = readClock()

// readClock asks Go first, so that what microseconds tells is never behind the clock; and again while it was not quick,
// so that it is not far ahead either.
func readClock() (clock monotonic) {
	for tries := 0; tries < 5; tries++ {
		clock.at = time.Now()
		var now syscall.Timespec
		_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
		clock.nano = now.Nano()
		if time.Since(clock.at) < 100*time.Microsecond {
			break
		}
	}
	return clock
}

// microseconds is what CLOCK_MONOTONIC said at that time, or a little more.
func (m monotonic) microseconds(at time.Time) uint64 {
	return uint64((m.nano + int64(at.Sub(m.at))) / 1000)
}
