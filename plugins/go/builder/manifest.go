package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// manifest is what the builder itself needs to know of a go.mod. Whether it is valid is the go command's to judge.
type manifest struct {
	module       string
	language     string // of its `go` line
	languageLine int
	requires     []requirement
	replaces     []replacement
	made         bool // by the executor, of the function's "dependencies": the user never saw it
}

type requirement struct {
	path, version string
	line          int
	indirect      bool
}

type replacement struct {
	path, by string
	line     int
}

// madeOf is the first line of a go.mod that the executor wrote (dependencies.cpp).
const madeOf = `// Made of "dependencies".`

func parseManifest(text []byte) *manifest {
	m := &manifest{made: strings.HasPrefix(string(text), madeOf)}
	block := ""
	for i, line := range strings.Split(string(text), "\n") {
		comment := ""
		if at := strings.Index(line, "//"); at >= 0 {
			line, comment = line[:at], strings.TrimSpace(line[at+2:])
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == ")" {
			block = ""
			continue
		}
		if block == "" && len(words) == 2 && words[1] == "(" {
			block = words[0]
			continue
		}
		if block != "" {
			words = append([]string{block}, words...)
		}
		if len(words) < 2 {
			continue
		}
		for j := range words {
			words[j] = strings.Trim(words[j], "\"`")
		}
		switch words[0] {
		case "module":
			m.module = words[1]
		case "go":
			m.language, m.languageLine = words[1], i+1
		case "require":
			r := requirement{path: words[1], line: i + 1, indirect: strings.HasPrefix(comment, "indirect")}
			if len(words) > 2 {
				r.version = words[2]
			}
			m.requires = append(m.requires, r)
		case "replace":
			for j, word := range words {
				if word == "=>" && j+1 < len(words) {
					m.replaces = append(m.replaces, replacement{path: words[1], by: words[j+1], line: i + 1})
				}
			}
		}
	}
	return m
}

// folderOf gives the folder of the function that stands for a module, by a replace directive.
func (m *manifest) folderOf(module string) (string, bool) {
	for _, r := range m.replaces {
		if r.path == module && (strings.HasPrefix(r.by, "./") || strings.HasPrefix(r.by, "../") || r.by == ".") {
			return path.Clean(r.by), true
		}
	}
	return "", false
}

// requirementOf finds the requirement that a package may come from: the one with the longest path.
func (m *manifest) requirementOf(importPath string) *requirement {
	var best *requirement
	for i := range m.requires {
		r := &m.requires[i]
		// "dependencies" may name a package: `go get` finds its module.
		if (isWithin(importPath, r.path) || m.made && isWithin(importPath, moduleIn(r.path))) && (best == nil || len(r.path) > len(best.path)) {
			best = r
		}
	}
	return best
}

func isWithin(importPath, module string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

// remoteRequires are the requirements that lie in no folder of the function.
func (m *manifest) remoteRequires() []requirement {
	var out []requirement
	for _, r := range m.requires {
		if _, local := m.folderOf(r.path); !local {
			out = append(out, r)
		}
	}
	return out
}

var exactVersion = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// isLocked tells whether every requirement is one version with its two sums. More sums may be needed, for modules that
// these require: the go command notices.
func (m *manifest) isLocked(sums []byte) bool {
	known := "\n" + string(sums)
	for _, r := range m.remoteRequires() {
		name, version := r.path, r.version
		for _, by := range m.replaces {
			if by.path == r.path {
				return strings.Contains(known, "\n"+by.by+" ")
			}
		}
		if !exactVersion.MatchString(version) || !strings.Contains(known, "\n"+name+" "+version+" ") ||
			!strings.Contains(known, "\n"+name+" "+version+"/go.mod ") {
			return false
		}
	}
	return true
}

// withoutRequires leaves everything else in place; for manifests with one requirement a line.
func withoutRequires(text []byte) []byte {
	var kept []string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "require ") {
			kept = append(kept, line)
		}
	}
	return []byte(strings.Join(kept, "\n"))
}

// moduleIn guesses which module a package belongs to, for a message: known hosts say it by their paths.
func moduleIn(importPath string) string {
	parts := strings.Split(importPath, "/")
	count := len(parts)
	switch parts[0] {
	case "github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "golang.org", "google.golang.org":
		count = 3
		if parts[0] == "google.golang.org" {
			count = 2
		}
		if len(parts) > count && isVersion(parts[count]) {
			count++
		}
	case "gopkg.in":
		if count = 2; len(parts) > 2 && !strings.Contains(parts[1], ".v") {
			count = 3
		}
	}
	if count > len(parts) {
		count = len(parts)
	}
	return strings.Join(parts[:count], "/")
}

// hasHost tells paths of modules from elsewhere from misspelt ones of the standard library.
func hasHost(importPath string) bool {
	return strings.Contains(strings.SplitN(importPath, "/", 2)[0], ".")
}

// readManifest reads the user's go.mod, and go.sum where there is one.
func (t *tree) readManifest() error {
	text, err := os.ReadFile(filepath.Join(t.dir, "go.mod"))
	if os.IsNotExist(err) {
		t.manifest = &manifest{}
		return nil
	}
	if err != nil {
		return err
	}
	t.goMod = text
	t.manifest = parseManifest(text)
	if t.manifest.module != "" {
		t.module = t.manifest.module
	}
	if t.goSum, err = os.ReadFile(filepath.Join(t.dir, "go.sum")); err != nil && !os.IsNotExist(err) {
		return err
	}
	if _, err := os.Stat(filepath.Join(t.dir, "vendor", "modules.txt")); err == nil {
		t.vendored = true
	}
	return nil
}

// mode is how the go command shall treat go.mod in a build without network: what a lock says is not to be changed.
func (t *tree) mode() string {
	switch {
	case t.vendored:
		return "vendor"
	case len(t.manifest.remoteRequires()) > 0:
		return "readonly"
	}
	return "mod"
}
