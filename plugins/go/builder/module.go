package main

import (
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// checkModule follows every import of the function's own packages. It notes the packages of other modules, and finds
// what no module can give: the go command would look for that on the network.
func (t *tree) checkModule(goroot string) []remark {
	t.external = map[string]bool{}
	visited := map[string]bool{}
	var remarks []remark
	if t.goMod == nil {
		if _, err := os.Stat(filepath.Join(t.dir, "vendor", "modules.txt")); err == nil {
			remarks = append(remarks, remark{file: "vendor/modules.txt", message: "vendor/ counts only beside the go.mod it was made from: add that go.mod"})
		}
	}
	if t.vendored {
		remarks = append(remarks, t.checkVendored()...)
	}
	for _, f := range t.files {
		remarks = append(remarks, t.checkImports(goroot, f, f.ast, visited)...)
		for _, importPath := range f.added {
			if !isStandard(goroot, importPath) {
				t.external[importPath] = true
			}
		}
	}
	return remarks
}

// checkVendored finds what is asked for and was not sent: beside vendor/ nothing is fetched.
func (t *tree) checkVendored() []remark {
	text, err := os.ReadFile(filepath.Join(t.dir, "vendor", "modules.txt"))
	if err != nil {
		return nil
	}
	var sent []string
	for _, line := range strings.Split(string(text), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "#" {
			sent = append(sent, words[1])
		}
	}
	var remarks []remark
	for _, r := range t.manifest.remoteRequires() {
		found := r.indirect
		for _, module := range sent {
			// "dependencies" may name a package of the module.
			found = found || r.path == module || t.manifest.made && isWithin(r.path, module)
		}
		if found {
			continue
		}
		problem := remark{file: "go.mod", line: r.line, column: 1,
			message: r.path + " is required, and vendor/modules.txt does not have it: run `go mod vendor` and send what it wrote, or leave vendor/ out to have modules fetched"}
		if t.manifest.made {
			problem = remark{message: r.path + " is among the dependencies, and not in vendor/, beside which nothing is fetched: leave vendor/ out, or send go.mod with what `go mod vendor` wrote"}
		}
		remarks = append(remarks, problem)
	}
	return remarks
}

// externals are the packages of other modules that the function's own packages import.
func (t *tree) externals() []string {
	var paths []string
	for importPath := range t.external {
		paths = append(paths, importPath)
	}
	sort.Strings(paths)
	return paths
}

// checkImports looks at one file's imports and follows those of the user's own folders.
func (t *tree) checkImports(goroot string, f *file, parsed *ast.File, visited map[string]bool) []remark {
	var remarks []remark
	for _, spec := range parsed.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		folder, own := t.ownFolder(importPath)
		if own && visited[importPath] {
			continue
		}
		visited[importPath] = true
		switch {
		case importPath == "C":
			remarks = append(remarks, t.remarkOn(f, spec.Path, "C code cannot be used: functions are built as static programs, without cgo"))
		case own:
			remarks = append(remarks, t.checkPackage(goroot, f, spec, importPath, folder, visited)...)
		case isStandard(goroot, importPath):
		default:
			if problem := t.missing(importPath); problem != "" {
				remarks = append(remarks, t.remarkOn(f, spec.Path, problem))
			}
			t.external[importPath] = true
		}
	}
	return remarks
}

// missing says why a package of another module cannot be had, and what to write so that it can; empty: it is asked for.
func (t *tree) missing(importPath string) string {
	if t.vendored {
		if hasSources(filepath.Join(t.dir, "vendor", filepath.FromSlash(importPath))) {
			return ""
		}
		return "the package " + importPath + " is not in vendor/: run `go mod vendor` and send what it wrote"
	}
	if t.manifest.requirementOf(importPath) != nil {
		return ""
	}
	if !hasHost(importPath) {
		return "there is no package " + importPath + " in the standard library of this Go, nor a folder of the function that it means"
	}
	module := moduleIn(importPath)
	switch {
	case t.goMod == nil:
		return "the package " + importPath + " is of another module: send \"dependencies\": [\"" + module + "\"] with the function, or a go.mod with `require " + module + " latest`"
	case t.manifest.made:
		return "the package " + importPath + " is of a module that is not among the dependencies: add \"" + module + "\" to \"dependencies\""
	}
	return "the package " + importPath + " is of a module that go.mod does not require: add `require " + module + " latest` to it"
}

// ownFolder gives the folder of the function that an import path means: below its module, or below a module that a
// folder of the function replaces.
func (t *tree) ownFolder(importPath string) (string, bool) {
	if isWithin(importPath, t.module) && importPath != t.module {
		return importPath[len(t.module)+1:], true
	}
	for _, r := range t.manifest.replaces {
		if folder, local := t.manifest.folderOf(r.path); local && isWithin(importPath, r.path) {
			return filepath.Join(folder, strings.TrimPrefix(importPath, r.path)), true
		}
	}
	return "", false
}

func (t *tree) checkPackage(goroot string, f *file, spec *ast.ImportSpec, importPath, folder string, visited map[string]bool) []remark {
	if folder == ".." || strings.HasPrefix(folder, "../") {
		return []remark{t.remarkOn(f, spec.Path, "go.mod replaces the module of "+importPath+" by the folder "+folder+", which lies outside of the function: send it as a folder of the function")}
	}
	entries, _ := os.ReadDir(filepath.Join(t.dir, folder))
	var remarks []remark
	found := false
	for _, entry := range entries {
		name := filepath.Join(folder, entry.Name())
		if entry.IsDir() || !isSource(entry.Name()) || !t.builds(name) {
			continue
		}
		found = true
		text, err := os.ReadFile(filepath.Join(t.dir, name))
		if err != nil {
			continue
		}
		own := &file{name: name, original: text}
		if parsed, err := parser.ParseFile(t.fileSet, name, text, parser.ImportsOnly); err == nil {
			remarks = append(remarks, t.checkImports(goroot, own, parsed, visited)...)
		}
	}
	if !found {
		remarks = append(remarks, t.remarkOn(f, spec.Path, "there are no Go files in the folder "+folder+", which "+importPath+" means"))
	}
	return remarks
}

func hasSources(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if !entry.IsDir() && isSource(entry.Name()) {
			return true
		}
	}
	return false
}
