package worker

import (
	"os"
	"sync"
)

// output guards fd 3 against mixed frames. What the user's code prints does not pass through here: os.Stdout and os.Stderr
// stay file descriptors 1 and 2. The host knows as well as the worker whose text it is, for no goroutine says for which
// invocation it prints, and reads it to the end even when the process is gone, so that nothing is lost that was printed right
// before os.Exit or a crash. It holds its ends as long as the worker lives: the SIGPIPE that ends a Go program which writes
// to a broken 1 or 2 does not come.
type output struct {
	mutex sync.Mutex
}

// send writes a whole frame to the host. The host gone means the worker's end.
func (o *output) send(frame []byte) {
	o.mutex.Lock()
	for len(frame) > 0 {
		n, err := writeHost(frame)
		if err != nil {
			os.Exit(0)
		}
		frame = frame[n:]
	}
	o.mutex.Unlock()
}
