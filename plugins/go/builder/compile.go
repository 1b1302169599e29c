package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// toolchain is the Go installation, used without network, home folder or anything of the user's that runs it.
type toolchain struct {
	root, home, cache, scratch string
}

// language is what a go.mod says for this toolchain, e.g. 1.19. The builder is compiled by the toolchain it uses.
func (c *toolchain) language() string {
	parts := strings.SplitN(strings.TrimPrefix(runtime.Version(), "go"), ".", 3)
	if len(parts) < 2 {
		return "1.16"
	}
	minor := strings.IndexFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' })
	if minor > 0 {
		parts[1] = parts[1][:minor]
	}
	return parts[0] + "." + parts[1]
}

// buildFlags must be the same for the warm cache and for functions, or the cache is of no use.
func (c *toolchain) buildFlags() []string {
	flags := []string{"build", "-trimpath"}
	if minor, err := strconv.Atoi(strings.TrimPrefix(c.language(), "1.")); err != nil || minor >= 18 {
		flags = append(flags, "-buildvcs=false")
	}
	return flags
}

// command prepares `go`. There is no HOME on purpose: it keeps the go command's counters out of the way.
func (c *toolchain) command(dir string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.root, "bin", "go"), arguments...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + filepath.Join(c.root, "bin") + ":/usr/bin:/bin",
		"GOROOT=" + c.root,
		"GOCACHE=" + c.cache,
		"GOPATH=" + filepath.Join(c.scratch, "path"),
		"GOMODCACHE=" + filepath.Join(c.scratch, "path", "mod"),
		"GOTMPDIR=" + c.scratch,
		"TMPDIR=" + c.scratch,
		"CGO_ENABLED=0", "GO111MODULE=on", "GOENV=off", "GOFLAGS=-mod=mod",
		"GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local", "GOWORK=off", "GOTELEMETRY=off",
	}
	return cmd
}

// compile builds the module in `dir` into the program `output`.
func (c *toolchain) compile(t *tree, dir, output string) ([]remark, error) {
	// Cleaning the cache of what is old would only cost time: the sandbox throws every change of it away.
	_ = os.WriteFile(filepath.Join(c.cache, "trim.txt"), []byte(strconv.FormatInt(time.Now().Unix(), 10)), 0o644)
	flags := append(c.buildFlags(), "-gcflags=-e", "-ldflags=-s -w", "-o", output, ".")
	cmd := c.command(dir, flags...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	if err == nil {
		return nil, nil
	}
	if _, exited := err.(*exec.ExitError); !exited {
		return nil, fmt.Errorf("the go command could not be started: %v", err)
	}
	remarks := t.translate(text.String(), dir)
	if len(remarks) == 0 {
		return nil, fmt.Errorf("go build failed (%v) and said: %s", err, strings.TrimSpace(text.String()))
	}
	return remarks, nil
}

var located = regexp.MustCompile(`^(?:vet: )?([^:\s][^:]*):(\d+)(?::(\d+))?: (.*)$`)

// translate turns the output of go build into remarks on the user's files. Remarks on generated code are consequences
// of others; they count only where there are no others.
func (t *tree) translate(text, dir string) []remark {
	var remarks, generated []remark
	last := &remarks
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "\t") && len(*last) > 0 {
			previous := &(*last)[len(*last)-1]
			previous.message += "; " + strings.TrimSpace(line)
			continue
		}
		line = strings.TrimPrefix(line, "go: ")
		match := located.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(match[1], dir+"/"), "./")
		r := remark{file: name, message: t.explain(name, match[4])}
		r.line, _ = strconv.Atoi(match[2])
		r.column, _ = strconv.Atoi(match[3])
		if strings.Contains(filepath.Base(name), own) {
			r.file, r.line, r.column = "", 0, 0
			generated = append(generated, r)
			last = &generated
			continue
		}
		r.column = t.columnIn(name, r.line, r.column)
		remarks = append(remarks, r)
		last = &remarks
	}
	if len(remarks) == 0 {
		return generated
	}
	return remarks
}

func (t *tree) columnIn(name string, line, column int) int {
	for _, f := range t.files {
		if f.name == name {
			return f.columnOf(line, column)
		}
	}
	// A //line directive may name anything.
	path := filepath.Join(t.dir, name)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || !strings.HasPrefix(path, t.dir+"/") {
		return column
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return column
	}
	return (&file{original: text}).columnOf(line, column)
}

// explain adds what a reader can do where a package is used without its import.
func (t *tree) explain(name, message string) string {
	missing := strings.TrimPrefix(message, "undefined: ")
	for _, f := range t.files {
		if f.name == name && !f.bare && missing != message && likelyPackages[missing] {
			return message + ` (the file has a package clause, so its imports are its own: add import "` + missing + `")`
		}
	}
	return message
}

var likelyPackages = map[string]bool{
	"bytes": true, "context": true, "errors": true, "fmt": true, "io": true, "log": true, "math": true, "os": true,
	"regexp": true, "sort": true, "strconv": true, "strings": true, "sync": true, "time": true,
}
