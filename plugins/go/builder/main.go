// cf-go-build turns the files of a Go function into one static program. The executor runs it in the build sandbox.
//
//	cf-go-build build -source DIR -output FILE -handler NAME -goroot DIR -home DIR -cache DIR -scratch DIR
//	cf-go-build warm -goroot DIR -home DIR -cache DIR
//
// It exits with 0 when the program stands, with 1 when the source is at fault, and with 2 when something else is;
// then standard error says what. Remarks go to standard output, one a line, tab between the fields:
//
//	severity  file  line  column  message
//
// A backslash, tab or line end inside a field is written \\, \t or \n.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: cf-go-build build|warm [flags]"))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	source := flags.String("source", "", "folder with the user's files")
	output := flags.String("output", "", "the program to write")
	handler := flags.String("handler", "handler", "name of the handler")
	goroot := flags.String("goroot", "", "root of the Go toolchain")
	home := flags.String("home", "", "folder that has the worker's sources in worker/")
	cache := flags.String("cache", "", "Go's build cache")
	scratch := flags.String("scratch", "", "folder for work in progress, removed at the end")
	_ = flags.Parse(os.Args[2:])

	chain := &toolchain{root: *goroot, home: *home, cache: *cache}
	switch os.Args[1] {
	case "build":
		if err := os.MkdirAll(*scratch, 0o755); err != nil {
			fail(err)
		}
		chain.scratch = *scratch
		remarks, err := buildProgram(chain, *source, *output, *handler)
		if gone := os.RemoveAll(*scratch); err == nil {
			err = gone
		}
		report(os.Stdout, remarks)
		if err != nil {
			fail(err)
		}
		if hasErrors(remarks) {
			os.Exit(1)
		}
	case "warm":
		work, err := os.MkdirTemp("", "cf-go-warm")
		if err != nil {
			fail(err)
		}
		chain.scratch = work
		err = warm(chain)
		_ = os.RemoveAll(work)
		if err != nil {
			fail(err)
		}
	default:
		fail(fmt.Errorf("cf-go-build knows build and warm, not %s", os.Args[1]))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

// buildProgram does everything between the user's folder and the program. An error is one of the platform; what is wrong
// with the user's source is in the remarks.
func buildProgram(chain *toolchain, source, output, handlerName string) ([]remark, error) {
	tree, err := readTree(source)
	if err != nil {
		return nil, err
	}
	remarks := tree.parse()
	if hasErrors(remarks) {
		return remarks, nil
	}
	remarks = append(remarks, tree.addImports(chain.root)...)
	remarks = append(remarks, tree.checkModule(chain.root)...)
	if hasErrors(remarks) {
		return remarks, nil
	}
	handler, problems := tree.findHandler(handlerName)
	if remarks = append(remarks, problems...); handler == nil {
		return remarks, nil
	}
	target := filepath.Join(chain.scratch, "src")
	if err := tree.generate(target, handler, chain); err != nil {
		return remarks, err
	}
	problems, err = chain.compile(tree, target, output)
	if remarks = append(remarks, problems...); err != nil || hasErrors(remarks) {
		return remarks, err
	}
	// The sandbox's umask hides files; workers have other users than builds.
	return remarks, os.Chmod(output, 0o755)
}
