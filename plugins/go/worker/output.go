package worker

import (
	"os"
	"sync"
	"sync/atomic"
)

// What the user's code prints. os.Stdout and os.Stderr become pipes of the worker's own, so that their text can travel
// as LOG frames, attributed and ahead of the answer. The pipes are emptied on the way to every answer by reads that do
// not block; a goroutine empties them too, so that a handler that prints more than a pipe holds goes on, and a
// long one is heard while it runs. Text of println and of a dying process goes to the real file descriptors
// 1 and 2, which the host reads.
type output struct {
	mutex   sync.Mutex // guards fd 3 against mixed frames, and the order of text and answers
	pipes   [2]pipe
	frames  []byte
	text    []byte
	current uint64 // the invocation that text belongs to, 0 when that is not certain
}

type pipe struct {
	reader *os.File
	fd     int
	stream uint64
}

// The files that os.Stdout and os.Stderr stood for. Referenced for ever: their finalizers would close 1 and 2.
var nativeStdout, nativeStderr os.File

const readSize = 32 << 10

// redirect replaces the files behind os.Stdout and os.Stderr in place, so that whoever took the pointers before (the
// log package, other packages' variables) writes to the pipes as well.
func (o *output) redirect() error {
	nativeStdout, nativeStderr = *os.Stdout, *os.Stderr
	o.text = make([]byte, readSize)
	for i, target := range []*os.File{os.Stdout, os.Stderr} {
		reader, writer, err := os.Pipe()
		if err != nil {
			return err
		}
		*target = *writer
		raw, err := reader.SyscallConn()
		if err != nil {
			return err
		}
		p := &o.pipes[i]
		p.reader, p.stream = reader, uint64(i+1)
		_ = raw.Control(func(fd uintptr) { p.fd = int(fd) })
		go func() {
			_ = raw.Read(func(uintptr) bool {
				o.mutex.Lock()
				o.frames = o.drain(o.frames[:0])
				o.send(o.frames)
				o.mutex.Unlock()
				return false
			})
		}()
	}
	return nil
}

// drain appends what the pipes hold as LOG frames. Needs the mutex.
func (o *output) drain(b []byte) []byte {
	for i := range o.pipes {
		p := &o.pipes[i]
		for p.reader != nil {
			n, err := readNow(p.fd, o.text)
			if n <= 0 || err != 0 {
				break
			}
			start := len(b)
			b = beginFrame(b, frameLog, atomic.LoadUint64(&o.current))
			b = appendNumber(b, tagStream, p.stream)
			b = append(appendItemHeader(b, tagText, n), o.text[:n]...)
			b = endFrame(b, start)
			if len(b) > 4*readSize {
				o.send(b)
				b = b[:0]
			}
			if n < len(o.text) {
				break
			}
		}
	}
	return b
}

// answer sends what was printed and then the frame, in one write.
func (o *output) answer(frame []byte) {
	o.mutex.Lock()
	o.frames = o.drain(o.frames[:0])
	if len(o.frames) == 0 {
		o.send(frame)
	} else {
		o.frames = append(o.frames, frame...)
		o.send(o.frames)
	}
	if cap(o.frames) > keepSize {
		o.frames = nil
	}
	o.mutex.Unlock()
}

// send writes all of b to the host. The host gone means the worker's end. Needs the mutex.
func (o *output) send(b []byte) {
	for len(b) > 0 {
		n, err := writeHost(b)
		if err != nil {
			os.Exit(0)
		}
		b = b[n:]
	}
}
