package worker

import (
	"os"
	"syscall"
)

const (
	hostFd   = 3
	readRoom = 64 << 10
	keepSize = 1 << 20 // larger buffers are given back after use
)

// host is fd 3 as a file of Go's poller, nil as long as reads and writes block.
var host *os.File

func isSocket(fd int) bool {
	var status syscall.Stat_t
	return syscall.Fstat(fd, &status) == nil && status.Mode&syscall.S_IFMT == syscall.S_IFSOCK
}

// blocking leaves fd 3 to plain system calls: with one invocation at a time nothing else wants to run while the worker
// waits, and the poller would cost two more system calls for each frame.
func blocking() error {
	return syscall.SetNonblock(hostFd, false)
}

// polled gives fd 3 to Go's poller: goroutines of other invocations must go on at once while this one waits.
func polled() error {
	if err := syscall.SetNonblock(hostFd, true); err != nil {
		return err
	}
	host = os.NewFile(hostFd, "host")
	return nil
}

func readHost(b []byte) (int, error) {
	if host != nil {
		return host.Read(b)
	}
	for {
		n, err := syscall.Read(hostFd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func writeHost(b []byte) (int, error) {
	if host != nil {
		return host.Write(b)
	}
	for {
		n, err := syscall.Write(hostFd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// frames cuts what arrives on fd 3 into frames.
type frames struct {
	room       []byte
	start, end int
}

// next returns the next frame. The payload is valid until the following call. ok is false when the host is gone or
// sends what is not a frame.
func (f *frames) next() (kind byte, id uint64, payload []byte, ok bool) {
	if f.room == nil {
		f.room = make([]byte, readRoom)
	}
	for {
		have := f.end - f.start
		need := headerSize
		if have >= headerSize {
			header := f.room[f.start:]
			size := le.Uint32(header)
			if size > maxPayload {
				return 0, 0, nil, false
			}
			if need += int(size); have >= need {
				payload = header[headerSize:need:need]
				f.start += need
				return header[4], le.Uint64(header[8:]), payload, true
			}
		}
		f.makeRoom(need)
		n, err := readHost(f.room[f.end:])
		if n <= 0 || err != nil {
			return 0, 0, nil, false
		}
		f.end += n
	}
}

// makeRoom lets a frame of `need` bytes fit behind start, with room to read.
func (f *frames) makeRoom(need int) {
	rest := f.room[f.start:f.end]
	switch {
	case need > len(f.room):
		f.room = make([]byte, need+readRoom)
	case len(f.room) > keepSize && need <= readRoom && len(rest) <= readRoom:
		f.room = make([]byte, 2*readRoom)
	case len(rest) == 0, f.start+need > len(f.room), f.end == len(f.room):
	default:
		return
	}
	f.end = copy(f.room, rest)
	f.start = 0
}
