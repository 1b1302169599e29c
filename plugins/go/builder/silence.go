package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// The go command waits for ever for a proxy that takes its connection and says nothing. A watch ends it then, so that the
// build's time is left for something better than waiting. It looks at bytes, not at time alone: a slow download is none
// of its business.

const (
	leastProgress = 1024 // bytes; less is what waiting itself reads
	lookEvery     = 200 * time.Millisecond
)

type watch struct {
	patience time.Duration
	read     func() (bytes uint64, known bool) // by the command and what it started
	fired    int32
	done     chan struct{}
}

// begin watches a command that was started as the leader of a process group; end stops that and tells whether it had to
// be ended.
func (w *watch) begin(cmd *exec.Cmd) {
	w.done = make(chan struct{})
	go func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		last, since := uint64(0), time.Now()
		for {
			select {
			case <-w.done:
				return
			case now := <-ticker.C:
				bytes, known := w.read()
				// Processes that ended take their bytes with them.
				if !known || bytes < last || bytes-last >= leastProgress {
					last, since = bytes, now
				}
				if now.Sub(since) < w.patience {
					continue
				}
				atomic.StoreInt32(&w.fired, 1)
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
				return
			}
		}
	}()
}

func (w *watch) end() bool {
	close(w.done)
	return atomic.LoadInt32(&w.fired) == 1
}

// readByOthers is what all processes but this one have read so far, from sockets as from files: in the build sandbox these
// are the go command and its own.
func readByOthers() (uint64, bool) {
	counters, _ := filepath.Glob("/proc/[0-9]*/io")
	var sum uint64
	known := false
	for _, path := range counters {
		if path == fmt.Sprintf("/proc/%d/io", os.Getpid()) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "rchar: ") {
				bytes, err := strconv.ParseUint(line[len("rchar: "):], 10, 64)
				sum, known = sum+bytes, known || err == nil
			}
		}
	}
	return sum, known
}

var asked = regexp.MustCompile(`^# get \w+://([^/\s]+)\S*?(: .*)?$`)

// silent names the hosts that were asked and did not answer, of what the go command traced (-x); "" when there is none.
func silent(trace string) string {
	open := map[string]int{}
	var order []string
	for _, line := range strings.Split(trace, "\n") {
		match := asked.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		host := match[1][strings.LastIndex(match[1], "@")+1:]
		if _, known := open[host]; !known {
			order = append(order, host)
		}
		if open[host]++; match[2] != "" {
			open[host] -= 2
		}
	}
	var hosts []string
	for _, host := range order {
		if open[host] > 0 {
			hosts = append(hosts, host)
		}
	}
	return strings.Join(hosts, ", ")
}

var traced = regexp.MustCompile(`^(# |mkdir |cd |git |\d+\.\d+s # )`)

// withoutTrace leaves what the go command says about problems.
func withoutTrace(text string) string {
	var said []string
	for _, line := range strings.Split(text, "\n") {
		if !traced.MatchString(line) {
			said = append(said, line)
		}
	}
	return strings.Join(said, "\n")
}

// nothingCame is the sentence for a command that the watch ended; errors.go knows it.
func nothingCame(trace string, patience time.Duration) string {
	who := silent(trace)
	if who == "" {
		who = "the module proxy"
	}
	return fmt.Sprintf("%s does not answer: nothing came for %d s", who, int(patience/time.Second))
}
