package main

import (
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const notYet = "functions are built without network, with the standard library and their own files"

// checkModule reads the user's go.mod, and finds what the compiler would look for on the network: modules that it
// requires, packages that are neither the library's nor the function's.
func (t *tree) checkModule(goroot string) []remark {
	remarks := t.readGoMod()
	visited := map[string]bool{}
	for _, f := range t.files {
		remarks = append(remarks, t.checkImports(goroot, f, f.ast, visited)...)
	}
	return remarks
}

// readGoMod takes the module path and finds requirements. Everything else in it is the go command's to judge.
func (t *tree) readGoMod() []remark {
	var remarks []remark
	block := ""
	for i, line := range strings.Split(string(t.goMod), "\n") {
		if comment := strings.Index(line, "//"); comment >= 0 {
			line = line[:comment]
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if block != "" && words[0] != ")" {
			words = append([]string{block}, words...)
		} else if words[0] == ")" {
			block = ""
			continue
		} else if len(words) == 2 && words[1] == "(" {
			block = words[0]
			continue
		}
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "module":
			t.module = strings.Trim(words[1], "\"`")
		case "require":
			remarks = append(remarks, remark{file: "go.mod", line: i + 1, column: 1,
				message: "the module " + words[1] + " cannot be had: " + notYet + ". Take it out of go.mod, and copy what you need of it into a folder of the function"})
		}
	}
	return remarks
}

// checkImports looks at one file's imports and follows those of the user's own module.
func (t *tree) checkImports(goroot string, f *file, parsed *ast.File, visited map[string]bool) []remark {
	var remarks []remark
	for _, spec := range parsed.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil || visited[importPath] && t.isOwn(importPath) {
			continue
		}
		visited[importPath] = true
		switch {
		case importPath == "C":
			remarks = append(remarks, t.remarkOn(f, spec.Path, "C code cannot be used: functions are built as static programs, without cgo"))
		case t.isOwn(importPath):
			remarks = append(remarks, t.checkPackage(goroot, f, spec, importPath, visited)...)
		case !isStandard(goroot, importPath):
			remarks = append(remarks, t.remarkOn(f, spec.Path, "the package "+importPath+" cannot be had: "+notYet+
				". Copy it into a folder of the function, or do without it"))
		}
	}
	return remarks
}

func (t *tree) isOwn(importPath string) bool { return strings.HasPrefix(importPath, t.module+"/") }

func (t *tree) checkPackage(goroot string, f *file, spec *ast.ImportSpec, importPath string, visited map[string]bool) []remark {
	folder := importPath[len(t.module)+1:]
	entries, _ := os.ReadDir(filepath.Join(t.dir, folder))
	var remarks []remark
	found := false
	for _, entry := range entries {
		name := filepath.Join(folder, entry.Name())
		if entry.IsDir() || !isSource(entry.Name()) {
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
