// cf-go-build turns the files of a Go function into one static program. The executor runs it in the build sandbox.
//
//	cf-go-build inspect    says which modules from elsewhere the function needs
//	cf-go-build resolve    finds their versions and sums                        (with network)
//	cf-go-build download   fetches them into -modules                           (with network)
//	cf-go-build precompile compiles what the function uses of them into -packages
//	cf-go-build build      compiles the function into -output
//	cf-go-build warm       fills -cache with what functions use of the standard library
//	cf-go-build observe    runs a tool for the go command (record.go)
//
// Functions without modules from elsewhere need `build` alone. Each exits with 0 when it did its work, with 1 when the
// source is at fault, with 2 when something else is (then standard error says what), and with 3 when go.mod or go.sum
// lacks something that `resolve` would add. Records go to -report, one a line, tab between the fields:
//
//	error|warning  file  line  column  message
//	state  vendored|locked|open|none        of inspect
//	import  path                            of inspect: a package of another module
//	vendor  sum                             of inspect: of everything in vendor/
//	offline  yes                            of resolve: nobody answered
//	lock  text                              of resolve: go.mod and go.sum (archive.go)
//
// A backslash, tab or line end inside a field is written \\, \t or \n. With -input, standard input is an archive of go.mod and
// go.sum that take the place of the user's, and of the operator's netrc.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// options are the command line, and what standard input brought.
type options struct {
	source, output, handler, report string
	packages, downloaded            string
	input                           bool
	texts                           map[string]string
	chain                           *toolchain
}

var commands = map[string]func(*options, io.Writer) ([]remark, error){
	"inspect": inspect, "resolve": resolve, "download": download, "precompile": precompile, "build": buildProgram,
	"warm": func(o *options, _ io.Writer) ([]remark, error) { return nil, warm(o.chain) },
}

// errIncomplete is the failure that `resolve` would mend.
var errIncomplete = errors.New("go.mod or go.sum is not complete")

func main() {
	if len(os.Args) > 3 && os.Args[1] == "observe" {
		fail(observe(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fail(fmt.Errorf("usage: cf-go-build inspect|resolve|download|precompile|build|warm [flags]"))
	}
	o := &options{chain: &toolchain{}}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.source, "source", "", "folder with the user's files")
	flags.StringVar(&o.output, "output", "", "the program to write")
	flags.StringVar(&o.handler, "handler", "handler", "name of the handler")
	flags.StringVar(&o.report, "report", "", "file for records; standard output without it")
	flags.StringVar(&o.packages, "packages", "", "cache with the packages of other modules")
	flags.StringVar(&o.downloaded, "downloaded", "", "module cache to begin with")
	flags.BoolVar(&o.input, "input", false, "read an archive from standard input")
	flags.StringVar(&o.chain.root, "goroot", "", "root of the Go toolchain")
	flags.StringVar(&o.chain.home, "home", "", "folder that has the worker's sources in worker/")
	flags.StringVar(&o.chain.cache, "cache", "", "Go's build cache")
	flags.StringVar(&o.chain.modules, "modules", "", "Go's module cache")
	flags.DurationVar(&o.chain.patience, "patience", 30*time.Second, "how long nothing may come from the network")
	flags.StringVar(&o.chain.scratch, "scratch", "", "folder for work in progress, removed at the end")
	_ = flags.Parse(os.Args[2:])

	remarks, err := o.run(commands[os.Args[1]])
	switch {
	case err == errIncomplete:
		os.Exit(3)
	case err != nil:
		fail(err)
	case hasErrors(remarks):
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

// run is one command with its scratch folder and its report.
func (o *options) run(command func(*options, io.Writer) ([]remark, error)) (remarks []remark, err error) {
	if o.input {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, err
		}
		o.texts = parseArchive(string(text))
	}
	records := os.Stdout
	if o.report != "" {
		if records, err = os.Create(o.report); err != nil {
			return nil, err
		}
		defer records.Close()
	}
	if o.chain.scratch == "" {
		if o.chain.scratch, err = os.MkdirTemp("", "cf-go-build"); err != nil {
			return nil, err
		}
	} else if err := os.MkdirAll(o.chain.scratch, 0o755); err != nil {
		return nil, err
	}
	remarks, err = command(o, records)
	if o.chain.temporaryHome != "" {
		_ = os.RemoveAll(o.chain.temporaryHome)
	}
	if gone := os.RemoveAll(o.chain.scratch); err == nil {
		err = gone
	}
	report(records, remarks)
	return remarks, err
}

// read does all that needs no compiler: files, repairs, imports, handler. Without a handler it was in vain.
func (o *options) read() (*tree, *handler, []remark, error) {
	t, err := readTree(o.source)
	if err != nil {
		return nil, nil, nil, err
	}
	remarks := t.parse()
	if hasErrors(remarks) {
		return t, nil, remarks, nil
	}
	t.addImports(o.chain.root)
	remarks = append(remarks, t.checkModule(o.chain.root)...)
	if hasErrors(remarks) {
		return t, nil, remarks, nil
	}
	h, problems := t.findHandler(o.handler)
	return t, h, append(remarks, problems...), nil
}

// write makes the module to compile of what was read. Gives its folder.
func (o *options) write(t *tree, h *handler) (string, error) {
	if text, locked := o.texts["go.mod"]; locked {
		t.goMod = []byte(text)
		t.goSum = []byte(o.texts["go.sum"])
		t.locked = true
	}
	dir := filepath.Join(o.chain.scratch, "src")
	return dir, t.generate(dir, h, o.chain)
}

func inspect(o *options, records io.Writer) ([]remark, error) {
	t, _, remarks, err := o.read()
	if err != nil || hasErrors(remarks) {
		return remarks, err
	}
	externals := t.externals()
	state := "open"
	switch {
	case t.vendored:
		state = "vendored"
		sum, err := sumOfFolder(filepath.Join(t.dir, "vendor"))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(records, "vendor\t%s\n", sum)
	case len(externals) == 0 && len(t.manifest.remoteRequires()) == 0:
		state = "none"
	case t.manifest.isLocked(t.goSum):
		state = "locked"
	}
	fmt.Fprintf(records, "state\t%s\n", state)
	for _, importPath := range externals {
		fmt.Fprintf(records, "import\t%s\n", escape.Replace(importPath))
	}
	// `build` says the warnings again.
	return nil, nil
}

func resolve(o *options, records io.Writer) ([]remark, error) {
	t, h, remarks, err := o.read()
	if err != nil || h == nil {
		return remarks, err
	}
	if o.texts["go.mod"] == "" {
		t.openRequires()
		delete(o.texts, "go.mod")
	}
	if err := o.chain.goOnline(o.texts["netrc"]); err != nil {
		return nil, err
	}
	dir, err := o.write(t, h)
	if err != nil {
		return nil, err
	}
	lock, problems, err := t.lock(o.chain, dir)
	if err == nil && lock != "" {
		fmt.Fprintf(records, "lock\t%s\n", escape.Replace(lock))
	}
	if t.offline {
		fmt.Fprintln(records, "offline\tyes")
	}
	return problems, err
}

func download(o *options, _ io.Writer) ([]remark, error) {
	t, h, remarks, err := o.read()
	if err != nil || h == nil {
		return remarks, err
	}
	if err := o.chain.goOnline(o.texts["netrc"]); err != nil {
		return nil, err
	}
	dir, err := o.write(t, h)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.chain.modules, 0o755); err != nil {
		return nil, err
	}
	if o.downloaded != "" {
		if err := copyFolder(o.downloaded, o.chain.modules); err != nil {
			return nil, err
		}
	}
	return t.download(o.chain, dir)
}

func precompile(o *options, _ io.Writer) ([]remark, error) {
	t, h, remarks, err := o.read()
	if err != nil || h == nil {
		return remarks, err
	}
	o.chain.mode = t.mode()
	dir, err := o.write(t, h)
	if err != nil {
		return nil, err
	}
	return t.precompile(o.chain, dir, o.chain.cache, o.packages)
}

// compile is that of the toolchain, with the packages of other modules.
func (o *options) compile(t *tree, dir string) ([]remark, error) {
	if o.packages != "" {
		if err := linkCache(o.packages, o.chain.cache); err != nil {
			return nil, err
		}
	}
	return o.chain.compile(t, dir, o.output)
}

// buildProgram does everything between the user's folder and the program.
func buildProgram(o *options, _ io.Writer) ([]remark, error) {
	t, h, remarks, err := o.read()
	if err != nil || h == nil {
		return remarks, err
	}
	o.chain.mode = t.mode()
	dir, err := o.write(t, h)
	if err != nil {
		return remarks, err
	}
	// What does not build by a recipe is the go command's to build, or to explain.
	if r := o.recipe(t); r == nil || r.follow(o.chain, o.packages, dir, t.sources(), o.output) != nil {
		problems, err := o.compile(t, dir)
		if remarks = append(remarks, problems...); err != nil || hasErrors(remarks) {
			return remarks, err
		}
	}
	// The sandbox's umask hides files; workers have other users than builds.
	return remarks, os.Chmod(o.output, 0o755)
}
