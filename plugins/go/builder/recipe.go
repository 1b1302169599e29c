package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// recipe is what the go command told compiler and linker when it built a program of a module, written down. What it tells
// them depends on the module and on the toolchain, not on the program, so that another program of the same module can be
// built without it; it takes longer to find out what to do than the compiler takes to do it. Nothing in a recipe is made
// up here: it is right for every release of Go. Whatever one may not be right for is left to the go command.
type recipe struct {
	Module        string   // the go.mod it is for
	Worker        string   // digest of the worker that is compiled in; another release may bring another one
	Imports       []string // what the program imported
	Compile, Link step
}

// step is one call of a tool. What differs from build to build stands as a name in angle brackets, see places.
type step struct {
	Arguments   []string // the first is the tool
	Environment []string
	Packages    string // what the file of -importcfg says
}

const (
	recipeFile   = "recipe.json"
	recordedFile = "main.go"
)

// places are names for what lies elsewhere in each build.
func (c *toolchain) places(dir, work string, caches map[string]string) map[string]string {
	places := map[string]string{"<work>": work, "<dir>": dir, "<goroot>": c.root, "<home>": c.home, "<scratch>": c.scratch}
	for name, path := range caches {
		places[name] = path
	}
	return places
}

// option gives the word behind a flag; empty where it has none.
func (s *step) option(flag string) string {
	for i := 0; i+1 < len(s.Arguments); i++ {
		if s.Arguments[i] == flag {
			return s.Arguments[i+1]
		}
	}
	return ""
}

// replace puts names in the place of paths. Long paths first: some lie in others.
func (s *step) replace(places map[string]string) {
	var names []string
	for name := range places {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return len(places[names[i]]) > len(places[names[j]]) })
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, places[name], name)
	}
	s.change(strings.NewReplacer(pairs...))
}

// restore puts paths in the place of names.
func (s *step) restore(places map[string]string) {
	var pairs []string
	for name, path := range places {
		pairs = append(pairs, name, path)
	}
	s.change(strings.NewReplacer(pairs...))
}

func (s *step) change(replacer *strings.Replacer) {
	for _, list := range [][]string{s.Arguments, s.Environment} {
		for i, text := range list {
			list[i] = replacer.Replace(text)
		}
	}
	s.Packages = replacer.Replace(s.Packages)
}

// keep writes the recipe beside compiled packages.
func (r *recipe) keep(folder string) error {
	if r == nil {
		return nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, recipeFile), text, 0o644)
}

// recipe gives the one for the function, nil where there is none.
func (o *options) recipe(t *tree) *recipe {
	folder := o.packages
	if folder == "" {
		folder = o.chain.cache
	}
	text, err := os.ReadFile(filepath.Join(folder, recipeFile))
	if err != nil {
		return nil
	}
	r := &recipe{}
	if json.Unmarshal(text, r) != nil || !r.fits(t, o.chain) {
		return nil
	}
	return r
}

// What the go command does more for than to call compiler and linker, or does otherwise.
var (
	foreignSources = map[string]bool{".s": true, ".S": true, ".sx": true, ".c": true, ".cc": true, ".cpp": true, ".cxx": true,
		".m": true, ".h": true, ".hh": true, ".hpp": true, ".hxx": true, ".f": true, ".F": true, ".for": true, ".f90": true,
		".swig": true, ".swigcxx": true, ".syso": true, ".pgo": true}
	directives = []string{"//go:embed", "//go:debug", "//go:build", "+build", "//go:cgo"}
)

// workerDigest tells the sources of one worker from those of another.
func (c *toolchain) workerDigest() (string, error) {
	folder := filepath.Join(c.home, "worker")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", entry.Name(), len(text), text)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}

// fits tells whether the go command would have nothing else to say about the function.
func (r *recipe) fits(t *tree, c *toolchain) bool {
	if worker, err := c.workerDigest(); err != nil || r.Worker != worker {
		return false
	}
	if !t.standsAlone() || r.Module != strings.ReplaceAll(string(t.moduleFile(c)), c.home, "<home>") {
		return false
	}
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if foreignSources[filepath.Ext(entry.Name())] {
			return false
		}
	}
	known := map[string]bool{"unsafe": true}
	for _, path := range r.Imports {
		known[path] = true
	}
	for _, f := range t.files {
		text := string(f.finalText())
		for _, directive := range directives {
			if strings.Contains(text, directive) {
				return false
			}
		}
		imports := append([]string(nil), f.added...)
		for _, spec := range f.ast.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			imports = append(imports, path)
		}
		for _, path := range imports {
			if !known[path] {
				return false
			}
		}
	}
	return true
}

// standsAlone tells whether the module's go.mod and go.sum are enough to know what it is built from.
func (t *tree) standsAlone() bool {
	if t.vendored {
		return false
	}
	for _, replaced := range t.manifest.replaces {
		if strings.HasPrefix(replaced.by, ".") || strings.HasPrefix(replaced.by, "/") {
			return false
		}
	}
	return true
}

// follow builds the files of `dir` into `output`.
func (r *recipe) follow(c *toolchain, packages, dir string, files []string, output string) error {
	work := filepath.Join(c.scratch, "work")
	places := c.places(dir, work, map[string]string{"<cache>": c.cache, "<packages>": packages})
	last := len(r.Compile.Arguments) - 1
	prefix := strings.TrimSuffix(r.Compile.Arguments[last], recordedFile)
	r.Compile.Arguments = r.Compile.Arguments[:last]
	for _, name := range files {
		r.Compile.Arguments = append(r.Compile.Arguments, prefix+name)
	}
	for _, s := range []*step{&r.Compile, &r.Link} {
		s.restore(places)
		if err := os.MkdirAll(filepath.Dir(s.option("-o")), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(s.option("-importcfg"), []byte(s.Packages), 0o644); err != nil {
			return err
		}
		cmd := exec.Command(s.Arguments[0], s.Arguments[1:]...)
		cmd.Dir = dir
		cmd.Env = append(s.Environment, lessCollecting)
		if text, err := runAll(cmd); err != nil || text != "" {
			return fmt.Errorf("%v %s", err, text)
		}
	}
	return os.Rename(r.Link.option("-o"), output)
}

// sources are the files of the function's package, in the order in which the go command names them.
func (t *tree) sources() []string {
	names := []string{own + "main.go"}
	for _, f := range t.files {
		names = append(names, f.name)
	}
	sort.Strings(names)
	return names
}
