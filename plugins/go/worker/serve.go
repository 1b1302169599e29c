// Package worker is the part of every Go artifact that speaks with the platform: it reads frames from fd 3, calls the
// function's handler through an adapter that was generated at build time, and answers. See docs/worker-protocol.md.
package worker

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Function is what the generated main knows of the function.
type Function struct {
	Handler string
	Module  string // module path of the user's files
	// Invoke reads the event, calls the handler and hands its result to the call.
	Invoke func(*Call)
}

// MaxConcurrency is the most invocations at once; goroutines are cheap, their stacks and events are not.
const MaxConcurrency = 1024

type function struct {
	Function
	name, versionText, memoryText string
	version, memoryMb             uint64
	concurrency                   int
	in                            frames

	mutex   sync.Mutex // guards running and the cancel functions of its calls
	running map[uint64]*Call
	places  chan struct{}
	group   sync.WaitGroup
}

var out output

// Runs before the initialisation of the user's own package, which may start programs.
func init() {
	if isSocket(hostFd) {
		syscall.CloseOnExec(hostFd)
	}
}

// Serve answers invocations until the host says STOP or is gone. It does not return.
func Serve(description Function) {
	f := &function{Function: description, concurrency: 1}
	if err := blocking(); err != nil || !isSocket(hostFd) {
		println("This program is a function of CloudFunction: the platform starts it, with a socket as file descriptor 3.")
		os.Exit(1)
	}
	hello := beginFrame(nil, frameHello, 0)
	hello = appendNumber(hello, tagVersion, 2)
	language := strings.TrimPrefix(runtime.Version(), "go")
	hello = append(appendItemHeader(hello, tagLanguage, len(language)), language...)
	hello = appendNumber(hello, tagConcurrency, MaxConcurrency)
	out.send(endFrame(hello, 0))
	if !f.load() {
		os.Exit(0)
	}
	if f.concurrency > 1 {
		if err := polled(); err == nil {
			f.serveMany()
		}
	}
	f.serveOne()
}

// load waits for LOAD and answers it. false: the host left.
func (f *function) load() bool {
	kind, _, payload, ok := f.in.next()
	if !ok || kind != frameLoad {
		return false
	}
	handler := f.Handler
	for len(payload) > 0 {
		tag, value, rest, ok := nextItem(payload)
		if !ok {
			return false
		}
		switch tag {
		case tagHandler:
			handler = string(value)
		case tagEnvironment:
			setEnvironment(string(value))
		case tagFunctionName:
			f.name = string(value)
		case tagFunctionVersion:
			f.version = number(value)
			f.versionText = strconv.FormatUint(f.version, 10)
		case tagMemoryMb:
			f.memoryMb = number(value)
			f.memoryText = strconv.FormatUint(f.memoryMb, 10)
		case tagConcurrency:
			if n := number(value); n > 1 {
				f.concurrency = MaxConcurrency
				if n < MaxConcurrency {
					f.concurrency = int(n)
				}
			}
		}
		payload = rest
	}
	if handler != f.Handler {
		failed := &document{
			Type:    "HandlerNotFound",
			Message: "this program was built for the handler " + f.Handler + ", not for " + handler,
			Hint:    "Save the function again so that it is built for " + handler + ".",
		}
		frame := beginFrame(nil, frameLoadFailed, 0)
		out.send(endFrame(append(frame, failed.json()...), 0))
		return false
	}
	if f.memoryMb > 0 {
		bytes := int64(f.memoryMb) << 20
		if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
			limitMemory(bytes)
		}
		// Endless recursion shall end with its name, "stack overflow", before the memory limit ends it without one.
		debug.SetMaxStack(int(bytes / 4))
	}
	out.send(endFrame(beginFrame(nil, frameReady, 0), 0))
	return true
}

// setEnvironment sets what the host's stub has not set already.
func setEnvironment(pair string) {
	if i := strings.IndexByte(pair, '='); i > 0 {
		if value, known := os.LookupEnv(pair[:i]); !known || value != pair[i+1:] {
			_ = os.Setenv(pair[:i], pair[i+1:])
		}
	}
}

// serveOne answers one invocation after the other, on the goroutine that reads.
func (f *function) serveOne() {
	call := &Call{}
	for {
		kind, id, payload, ok := f.in.next()
		if !ok || kind == frameStop {
			os.Exit(0)
		}
		if kind != frameInvoke {
			continue
		}
		reply := call.reply
		if cap(reply) > keepSize {
			reply = nil
		}
		*call = Call{function: f, id: id, reply: reply}
		f.answer(call, payload, f.serveOne)
	}
}

// serveMany answers each invocation on a goroutine of its own.
func (f *function) serveMany() {
	f.running = make(map[uint64]*Call)
	f.places = make(chan struct{}, f.concurrency)
	for {
		kind, id, payload, ok := f.in.next()
		switch {
		case !ok:
			os.Exit(0)
		case kind == frameStop:
			f.group.Wait()
			os.Exit(0)
		case kind == frameCancel:
			f.cancel(id)
		case kind == frameInvoke:
			f.places <- struct{}{}
			call := &Call{function: f, id: id}
			f.note(call, true)
			own := append([]byte(nil), payload...)
			f.group.Add(1)
			go func() {
				defer f.group.Done()
				defer func() { <-f.places }()
				defer f.note(call, false)
				f.answer(call, own, nil)
			}()
		}
	}
}

// note keeps the list of what runs, for those who cancel.
func (f *function) note(call *Call, begins bool) {
	f.mutex.Lock()
	if begins {
		f.running[call.id] = call
	} else {
		delete(f.running, call.id)
	}
	f.mutex.Unlock()
}

func (f *function) cancel(id uint64) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if call := f.running[id]; call != nil {
		call.cancelled = true
		if call.cancel != nil {
			call.cancel()
		}
	}
}

func (f *function) attachCancel(call *Call, cancel context.CancelFunc) {
	f.mutex.Lock()
	call.cancel = cancel
	if call.cancelled {
		cancel()
	}
	f.mutex.Unlock()
}

// answer runs the handler and sends what came of it. A handler that ends its goroutine (runtime.Goexit) is answered
// too; `goOn` then takes over on a new one.
func (f *function) answer(call *Call, payload []byte, goOn func()) {
	call.reply = append32(beginFrame(call.reply[:0], frameResult, call.id), 0)
	if !call.read(payload) {
		os.Exit(1)
	}
	call.started = time.Now()
	if call.beginByUs != 0 && clock.microseconds(call.started) > call.beginByUs {
		out.send(endFrame(beginFrame(call.reply[:0], frameNotBegun, call.id), 0)) // the host counts on it: it runs elsewhere by now
		return
	}
	returned := false
	defer func() {
		if !returned {
			call.failed = &document{Type: "Goexit", Message: "the handler ended its goroutine with runtime.Goexit",
				Hint: "Return from the handler instead."}
			call.send()
			if goOn != nil {
				go goOn()
			}
		}
	}()
	f.run(call)
	returned = true
	call.send()
}

// run calls the handler; afterwards the call has its result in the reply, or knows how it failed.
func (f *function) run(call *Call) {
	finished := false
	defer func() {
		if call.cancel != nil {
			call.cancel()
		}
		if !finished {
			call.failed = f.ofPanic(recover())
		}
	}()
	f.Invoke(call)
	finished = true
}

// send completes the frame from the result in place, or from the failure, and sends it.
func (c *Call) send() {
	b := c.reply
	if size := len(b) - headerSize - 4; c.failed == nil && size > maxPayload-64 {
		c.failed = &document{
			Type: "ResultTooLarge",
			Message: "the handler's result has " + strconv.Itoa(size) + " bytes of JSON; at most " +
				strconv.Itoa(maxPayload-64) + " are possible",
			Hint: "Return less, or a reference to where the data lies.",
		}
	}
	if c.failed != nil {
		b = append(b[:headerSize+4], c.failed.json()...)
		b[4] = frameError
	}
	le.PutUint32(b[headerSize:], uint32(len(b)-headerSize-4))
	c.reply = endFrame(appendNumber(b, tagRunNs, uint64(time.Since(c.started))), 0)
	out.send(c.reply)
}
