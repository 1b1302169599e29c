package main

import (
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// toolchain is the Go installation, used without home folder or anything of the user's that runs it, and without network
// but for `online`.
type toolchain struct {
	root, home, cache, scratch string
	modules                    string        // module cache; empty: an empty one
	mode                       string        // -mod of builds: mod, readonly or vendor; empty: mod
	settings                   []string      // environment of the go command while it is online; see fetch.go
	temporaryHome              string        // while it is online; has passwords
	patience                   time.Duration // how long nothing may come from the network while it is online
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
	mode := c.mode
	if mode == "" {
		mode = "mod"
	}
	return c.prepared(dir, []string{"GOFLAGS=-mod=" + mode, "GOPROXY=off", "GOSUMDB=off"}, arguments)
}

func (c *toolchain) prepared(dir string, settings, arguments []string) *exec.Cmd {
	modules := c.modules
	if modules == "" {
		modules = filepath.Join(c.scratch, "path", "mod")
	}
	cmd := exec.Command(filepath.Join(c.root, "bin", "go"), arguments...)
	cmd.Dir = dir
	cmd.Env = append([]string{
		"PATH=" + filepath.Join(c.root, "bin") + ":/usr/bin:/bin",
		"GOROOT=" + c.root,
		"GOCACHE=" + c.cache,
		"GOPATH=" + filepath.Join(c.scratch, "path"),
		"GOMODCACHE=" + modules,
		"GOTMPDIR=" + c.scratch,
		"TMPDIR=" + c.scratch,
		"CGO_ENABLED=0", "GO111MODULE=on", "GOENV=off", "GOTOOLCHAIN=local", "GOWORK=off", "GOTELEMETRY=off",
	}, settings...)
	return cmd
}

// programFlags are those of a whole program.
func (c *toolchain) programFlags() []string {
	return append(c.buildFlags(), "-gcflags=-e", "-ldflags=-s -w")
}

// Compiler and linker of one small package end before they have made much that is worth collecting: a sixth of their time.
const lessCollecting = "GOGC=400"

// compile builds the module in `dir` into the program `output`.
func (c *toolchain) compile(t *tree, dir, output string) ([]remark, error) {
	c.stopTrimming()
	cmd := c.command(dir, append(c.programFlags(), "-o", output, ".")...)
	cmd.Env = append(cmd.Env, lessCollecting)
	text, err := runAll(cmd)
	if err != nil || text == "" {
		return nil, err
	}
	return t.explainBuild(c, text, dir)
}

// stopTrimming keeps the go command from cleaning the cache of what is old: that would only cost time, because the sandbox
// throws every change of it away.
func (c *toolchain) stopTrimming() {
	_ = os.WriteFile(filepath.Join(c.cache, "trim.txt"), []byte(strconv.FormatInt(time.Now().Unix(), 10)), 0o644)
}

// explainBuild makes remarks of what a failing go command wrote.
func (t *tree) explainBuild(c *toolchain, text, dir string) ([]remark, error) {
	if c.modules != "" {
		text = strings.ReplaceAll(text, c.modules+"/", "")
	}
	if !t.vendored && len(t.manifest.requires) > 0 && needsResolving(text) {
		return nil, errIncomplete
	}
	if remarks := t.translate(text, dir); len(remarks) > 0 {
		return remarks, nil
	}
	if remarks := t.explainModules(text); len(remarks) > 0 {
		return remarks, nil
	}
	return nil, fmt.Errorf("the go command failed and said: %s", strings.TrimSpace(text))
}

// runAll gives what a command wrote when it failed; nothing when it did not.
func runAll(cmd *exec.Cmd) (string, error) {
	text, err := cmd.CombinedOutput()
	if err == nil {
		return "", nil
	}
	if _, exited := err.(*exec.ExitError); !exited {
		return "", fmt.Errorf("the go command could not be started: %v", err)
	}
	return string(text) + fmt.Sprintf("\n(%v)", err), nil
}

// What the compiler adds to a place that a //line directive moved: where the generated file has it.
var moved = regexp.MustCompile(`(:\d+(?::\d+)?)\[[^\[\]\n]+:\d+(?::\d+)?\]`)

var located = regexp.MustCompile(`^(?:vet: )?([^:\s][^:]*):(\d+)(?::(\d+))?: (.*)$`)

// translate turns the output of go build into remarks on the user's files. Remarks on generated code are consequences
// of others; they count only where there are no others, and then at the handler, for which it was generated.
func (t *tree) translate(text, dir string) []remark {
	var remarks, generated []remark
	last := &remarks
	text = moved.ReplaceAllString(text, "$1")
	for _, line := range strings.Split(text, "\n") {
		match := located.FindStringSubmatch(strings.TrimPrefix(strings.TrimSpace(line), "go: "))
		if strings.HasPrefix(line, "\t") && len(*last) > 0 {
			previous := &(*last)[len(*last)-1]
			previous.message += "; " + strings.TrimPrefix(strings.ReplaceAll(strings.TrimSpace(line), dir+"/", ""), "./")
			continue
		}
		if match == nil {
			continue
		}
		if strings.Contains(match[1], "@") {
			if r, found := t.inModule(match[1], match[2], match[3], match[4]); found {
				remarks = append(remarks, r)
				last = &remarks
				continue
			}
		}
		name := strings.TrimPrefix(strings.TrimPrefix(match[1], dir+"/"), "./")
		r := remark{file: name, message: t.explain(name, match[4])}
		r.line, _ = strconv.Atoi(match[2])
		r.column, _ = strconv.Atoi(match[3])
		if strings.Contains(filepath.Base(name), own) {
			r.file, r.line, r.column = t.handler.file, t.handler.line, t.handler.column
			r.message = "the platform's code that calls the handler does not compile: " + r.message
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
	for i, r := range remarks {
		if r.file == "go.mod" {
			remarks[i] = t.inManifest(r)
		}
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
		if f.name == name && f.bare && missing != message && f.selectsFrom(missing) {
			module, known := knownModules[missing]
			if !known {
				module = "example.com/" + missing
			}
			return message + ` (no package of the standard library has this name; for one of another module send "dependencies": ["` +
				module + `"] with the function)`
		}
	}
	return message
}

// selectsFrom tells whether a name is used as those of packages are: name.Member.
func (f *file) selectsFrom(name string) bool {
	found := false
	ast.Inspect(f.ast, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if ident, ok := selector.X.(*ast.Ident); ok && ident.Name == name {
				found = true
			}
		}
		return !found
	})
	return found
}

// The module that people mean by the name of its package.
var knownModules = map[string]string{
	"chi": "github.com/go-chi/chi/v5", "decimal": "github.com/shopspring/decimal", "gin": "github.com/gin-gonic/gin",
	"gjson": "github.com/tidwall/gjson", "goquery": "github.com/PuerkitoBio/goquery", "jwt": "github.com/golang-jwt/jwt/v5",
	"lo": "github.com/samber/lo", "logrus": "github.com/sirupsen/logrus", "mux": "github.com/gorilla/mux",
	"pgx": "github.com/jackc/pgx/v5", "redis": "github.com/redis/go-redis/v9", "resty": "github.com/go-resty/resty/v2",
	"toml": "github.com/BurntSushi/toml", "uuid": "github.com/google/uuid", "websocket": "github.com/gorilla/websocket",
	"yaml": "gopkg.in/yaml.v3", "zap": "go.uber.org/zap",
}

var likelyPackages = map[string]bool{
	"bytes": true, "context": true, "errors": true, "fmt": true, "io": true, "log": true, "math": true, "os": true,
	"regexp": true, "sort": true, "strconv": true, "strings": true, "sync": true, "time": true,
}
