package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// What a name means where several packages of the standard library have it, and every one of them declares what the
// function uses. Elsewhere the shortest path wins.
var preferred = map[string]string{
	"rand":     "math/rand",
	"template": "text/template",
	"scanner":  "text/scanner",
	"pprof":    "runtime/pprof",
	"types":    "go/types",
	"parser":   "go/parser",
	"version":  "go/version",
	"trace":    "runtime/trace",
}

// addImports notes what each file imports, and gives files without a package clause the packages of the standard
// library that they use.
func (t *tree) addImports(goroot string) []remark {
	declared := map[string]bool{}
	for _, f := range t.files {
		for name := range f.ast.Scope.Objects {
			declared[name] = true
		}
	}
	var library *library
	for _, f := range t.files {
		f.imports = map[string]string{}
		for _, spec := range f.ast.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			if spec.Name != nil {
				f.imports[spec.Name.Name] = importPath
				continue
			}
			for _, name := range packageNames(importPath) {
				f.imports[name] = importPath
			}
		}
		if !f.bare {
			continue
		}
		var header []string
		for name, members := range missingNames(f, declared) {
			if library == nil {
				library = readLibrary(goroot)
			}
			importPath := library.find(name, members)
			text := strconv.Quote(importPath)
			if module := t.dependencyNamed(name); module != "" && (importPath == "" || !library.declares(importPath, members)) {
				importPath, text = module, name+" "+strconv.Quote(module)
			}
			if importPath != "" {
				f.imports[name] = importPath
				f.added = append(f.added, importPath)
				header = append(header, text)
			}
		}
		sort.Strings(header)
		f.header = barePackage
		if len(header) > 0 {
			f.header += "import (" + strings.Join(header, "; ") + "); "
		}
		// What follows is column 1 of line 1 again, in the compiler's eyes.
		f.header += "/*line :1:1*/"
	}
	return nil
}

// packageNames are the names that the package of an import path may have; only its source could tell.
func packageNames(importPath string) []string {
	base := path.Base(importPath)
	if isVersion(base) && path.Dir(importPath) != "." {
		base = path.Base(path.Dir(importPath))
	}
	if at := strings.LastIndex(base, ".v"); at > 0 && isVersion(base[at+1:]) {
		base = base[:at]
	}
	names := []string{path.Base(importPath), base}
	for _, trimmed := range []string{strings.TrimPrefix(base, "go-"), strings.TrimSuffix(base, "-go"), strings.TrimSuffix(base, ".go"),
		base[strings.LastIndex(base, "-")+1:], strings.ReplaceAll(base, "-", "")} {
		if trimmed != "" && trimmed != base {
			names = append(names, trimmed)
		}
	}
	return names
}

// dependencyNamed finds the one module among the function's direct requirements whose package may have a name.
func (t *tree) dependencyNamed(name string) string {
	found := ""
	for _, r := range t.manifest.requires {
		if r.indirect || r.path == found {
			continue
		}
		for _, candidate := range packageNames(r.path) {
			if candidate == name {
				if found != "" && found != r.path {
					return ""
				}
				found = r.path
			}
		}
	}
	return found
}

// missingNames finds the names that are used like packages (name.Member) and declared nowhere, with those members.
func missingNames(f *file, declared map[string]bool) map[string][]string {
	unresolved := map[*ast.Ident]bool{}
	for _, ident := range f.ast.Unresolved {
		if !declared[ident.Name] && f.imports[ident.Name] == "" {
			unresolved[ident] = true
		}
	}
	found := map[string][]string{}
	ast.Inspect(f.ast, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if ident, ok := selector.X.(*ast.Ident); ok && unresolved[ident] {
				found[ident.Name] = append(found[ident.Name], selector.Sel.Name)
			}
		}
		return true
	})
	return found
}

// library is the standard library's folders by their last name.
type library struct {
	src   string
	paths map[string][]string
}

func readLibrary(goroot string) *library {
	l := &library{src: filepath.Join(goroot, "src"), paths: map[string][]string{}}
	l.walk("")
	return l
}

func (l *library) walk(folder string) {
	entries, err := os.ReadDir(filepath.Join(l.src, folder))
	if err != nil {
		return
	}
	hasSource := false
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case !entry.IsDir():
			hasSource = hasSource || isSource(name)
		case name == "internal" || name == "testdata" || name == "vendor" || isVersion(name):
		case folder == "" && (name == "cmd" || name == "builtin"):
		default:
			l.walk(path.Join(folder, name))
		}
	}
	if hasSource && folder != "" {
		name := path.Base(folder)
		l.paths[name] = append(l.paths[name], folder)
	}
}

// isVersion tells folders such as math/rand/v2, whose package is not named like the folder.
func isVersion(name string) bool {
	if len(name) < 2 || name[0] != 'v' {
		return false
	}
	_, err := strconv.Atoi(name[1:])
	return err == nil
}

// find gives the package of that name which declares all the members; the preferred one among several.
func (l *library) find(name string, members []string) string {
	candidates := l.paths[name]
	if len(candidates) < 2 {
		return strings.Join(candidates, "")
	}
	var fitting []string
	for _, candidate := range candidates {
		if l.declares(candidate, members) {
			fitting = append(fitting, candidate)
		}
	}
	if len(fitting) == 0 {
		fitting = candidates
	}
	best := fitting[0]
	for _, candidate := range fitting {
		if candidate == preferred[name] {
			return candidate
		}
		if len(candidate) < len(best) {
			best = candidate
		}
	}
	return best
}

func (l *library) declares(importPath string, members []string) bool {
	dir := filepath.Join(l.src, importPath)
	packages, err := parser.ParseDir(token.NewFileSet(), dir, func(info os.FileInfo) bool { return isSource(info.Name()) }, 0)
	if err != nil && len(packages) == 0 {
		return false
	}
	known := map[string]bool{}
	for _, p := range packages {
		for _, f := range p.Files {
			for name := range f.Scope.Objects {
				known[name] = true
			}
		}
	}
	for _, member := range members {
		if !known[member] {
			return false
		}
	}
	return true
}

func isStandard(goroot, importPath string) bool {
	if importPath == "unsafe" || importPath == "C" {
		return true
	}
	entries, err := os.ReadDir(filepath.Join(goroot, "src", importPath))
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if isSource(entry.Name()) {
			return true
		}
	}
	return false
}
