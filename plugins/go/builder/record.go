package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// recordAll is record with the common packages. Without a recipe builds take longer, and that is all: then it gives nil.
func (c *toolchain) recordAll(goMod, goSum []byte, imports []string, caches map[string]string) *recipe {
	for _, name := range append(append([]string(nil), common...), commonLater...) {
		if isStandard(c.root, name) {
			imports = append(imports, name)
		}
	}
	r, err := c.record(goMod, goSum, imports, caches)
	if err != nil {
		fmt.Fprintf(os.Stderr, "Functions are built through the go command, which takes longer: %v\n", err)
		return nil
	}
	return r
}

// record has a program built that imports `imports`, and writes down how. `caches` are the places of the compiled packages.
func (c *toolchain) record(goMod, goSum []byte, imports []string, caches map[string]string) (*recipe, error) {
	dir := filepath.Join(c.scratch, "record")
	seen := filepath.Join(c.scratch, "seen")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	worker, err := c.workerDigest()
	if err != nil {
		return nil, err
	}
	flags := append(c.programFlags(), "-toolexec", self+" observe "+seen, "-o", filepath.Join(c.scratch, "recorded"), ".")
	for again := false; ; again = true {
		// The time keeps the compiler's output from being in the cache.
		source := fmt.Sprintf("package main // %d\n\nimport _ %q\n", time.Now().UnixNano(), workerModule)
		for _, path := range imports {
			source += fmt.Sprintf("import _ %q\n", path)
		}
		for name, text := range map[string][]byte{"go.mod": goMod, "go.sum": goSum, recordedFile: []byte(source + "\nfunc main() {}\n")} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				return nil, err
			}
		}
		if err := os.RemoveAll(seen); err != nil {
			return nil, err
		}
		if err := os.Mkdir(seen, 0o755); err != nil {
			return nil, err
		}
		text, err := runAll(c.command(dir, flags...))
		if err != nil {
			return nil, err
		}
		if !strings.Contains(text, errObserved.Error()) {
			return nil, fmt.Errorf("the go command did not come to the linker: %s", text)
		}
		r := &recipe{Worker: worker, Module: strings.ReplaceAll(string(goMod), c.home, "<home>"), Imports: imports}
		err = r.read(c, dir, seen, caches)
		// A package that had to be compiled lies where it does not last; the next time it is in the cache.
		if err == nil || again {
			return r, err
		}
	}
}

// read takes what was observed.
func (r *recipe) read(c *toolchain, dir, seen string, caches map[string]string) error {
	for name, s := range map[string]*step{"compile": &r.Compile, "link": &r.Link} {
		text, err := os.ReadFile(filepath.Join(seen, name))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, s); err != nil {
			return err
		}
		work := filepath.Dir(s.option("-o"))
		if name == "link" {
			work = filepath.Dir(work)
		}
		s.resolveLinks()
		s.replace(c.places(dir, work, caches))
	}
	return r.check()
}

// check finds what this program would not know how to follow.
func (r *recipe) check() error {
	for _, s := range []*step{&r.Compile, &r.Link} {
		if !strings.HasPrefix(s.option("-o"), "<work>") || !strings.HasPrefix(s.option("-importcfg"), "<work>") {
			return fmt.Errorf("the go command says %q", s.Arguments)
		}
		if strings.Contains(s.Packages, "=<scratch>") {
			return fmt.Errorf("some packages are not in the cache: %s", s.Packages)
		}
	}
	sources := 0
	for _, argument := range r.Compile.Arguments {
		if strings.HasSuffix(argument, ".go") {
			sources++
		}
	}
	if last := r.Compile.Arguments[len(r.Compile.Arguments)-1]; sources != 1 || filepath.Base(last) != recordedFile {
		return fmt.Errorf("the go command says %q", r.Compile.Arguments)
	}
	return nil
}

// resolveLinks has packages lie where they are: what linkCache links together does not last.
func (s *step) resolveLinks() {
	lines := strings.Split(s.Packages, "\n")
	for i, line := range lines {
		if at := strings.IndexByte(line, '='); strings.HasPrefix(line, "packagefile ") && at > 0 {
			if path, err := os.Readlink(line[at+1:]); err == nil {
				lines[i] = line[:at+1] + path
			}
		}
	}
	s.Packages = strings.Join(lines, "\n")
}

// errObserved ends the go command where all is known: the linker would take longer than the rest.
var errObserved = errors.New("the call of the linker was written down")

// observe runs a tool for the go command (its -toolexec). How compiler and linker are called for the program itself is
// written down, and the linker is not run.
func observe(folder string, call []string) error {
	s := step{Arguments: call}
	name := filepath.Base(call[0])
	if (name == "compile" && s.option("-p") == "main" || name == "link") && s.option("-o") != "" {
		for _, variable := range os.Environ() {
			switch strings.SplitN(variable, "=", 2)[0] {
			case "PWD", "OLDPWD", "SHLVL", "_", "TOOLEXEC_IMPORTPATH":
			default:
				s.Environment = append(s.Environment, variable)
			}
		}
		packages, err := os.ReadFile(s.option("-importcfg"))
		if err != nil {
			return err
		}
		s.Packages = string(packages)
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
		if name == "link" {
			return errObserved
		}
	}
	return syscall.Exec(call[0], call, os.Environ())
}
