package worker

import (
	"os"
	"sync"
	"sync/atomic"
)

// What the user's code prints. With one invocation at a time os.Stdout and os.Stderr stay file descriptors 1 and 2: the
// host knows whose text it is, and reads it to the end even when the process is gone, so that nothing is lost that was
// printed right before os.Exit or a crash. It holds its ends as long as the worker lives: the SIGPIPE that ends a Go
// program which writes to a broken 1 or 2 does not come.
//
// With several at once only the worker can tell. Then both become pipes of its own, whose text travels as LOG frames,
// attributed and ahead of the answer. The pipes are emptied on the way to every answer by reads that do not block; a
// goroutine empties them too, so that a handler that prints more than a pipe holds goes on, and a long one is heard while
// it runs. What they hold when the user's code ends the process dies with it. Text of println and the runtime's
// last words still go to 1 and 2.
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

// The files of os.Stdout and os.Stderr, wherever the user's code lets the variables point until LOAD comes; and what was in
// them, referenced for ever: its finalizers would close 1 and 2.
var (
	standard = [2]*os.File{os.Stdout, os.Stderr}
	native   [2]os.File
)

const readSize = 32 << 10

// redirect replaces the files behind os.Stdout and os.Stderr in place, so that whoever took the pointers before (the
// log package, other packages' variables) writes to the pipes as well.
func (o *output) redirect() error {
	o.text = make([]byte, readSize)
	for i, target := range standard {
		native[i] = *target
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

// leave ends the program after what was printed is sent.
func (o *output) leave() {
	o.mutex.Lock()
	o.send(o.drain(o.frames[:0]))
	os.Exit(0)
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
