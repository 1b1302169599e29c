package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestManifests(t *testing.T) {
	m := parseManifest([]byte(`module "example.org/app" // ours
go 1.17
require example.com/a v1.2.3
require (
	example.com/b/v2 v2.0.0 // indirect
	example.com/c latest
	example.com/local v0.0.0
)
replace example.com/local => ./local
replace (
	example.com/c v1.0.0 => example.com/d v1.0.0
)
exclude example.com/a v1.0.0
`))
	want := []requirement{{"example.com/a", "v1.2.3", 3, false}, {"example.com/b/v2", "v2.0.0", 5, true},
		{"example.com/c", "latest", 6, false}, {"example.com/local", "v0.0.0", 7, false}}
	if m.module != "example.org/app" || m.language != "1.17" || m.languageLine != 2 || m.made || !reflect.DeepEqual(m.requires, want) {
		t.Fatalf("%+v", m)
	}
	if folder, local := m.folderOf("example.com/local"); folder != "local" || !local {
		t.Fatal(folder, local)
	}
	if _, local := m.folderOf("example.com/c"); local {
		t.Fatal("a module stands for itself")
	}
	if r := m.requirementOf("example.com/b/v2/deep"); r == nil || r.path != "example.com/b/v2" {
		t.Fatal(r)
	}
	if r := m.requirementOf("example.com/ab"); r != nil {
		t.Fatal(r)
	}
}

func TestLockedManifests(t *testing.T) {
	const sums = "example.com/a v1.0.0 h1:x=\nexample.com/a v1.0.0/go.mod h1:y=\n"
	for text, want := range map[string]bool{
		"module m\nrequire example.com/a v1.0.0\n":                                                   true,
		"module m\nrequire example.com/a v1.0.1\n":                                                   false,
		"module m\nrequire example.com/a latest\n":                                                   false,
		"module m\nrequire example.com/a v1\n":                                                       false,
		"module m\nrequire example.com/a v1.0.0\nrequire example.com/b v1.0.0\n":                     false,
		"module m\nrequire example.com/l v0.0.0\nreplace example.com/l => ./l\n":                     true,
		"module m\nrequire example.com/b v1.0.0\nreplace example.com/b => example.com/a v1.0.0\n":    true,
		"module m\nrequire example.com/b v1.0.0\nreplace example.com/b => example.com/none v1.0.0\n": false,
	} {
		if got := parseManifest([]byte(text)).isLocked([]byte(sums)); got != want {
			t.Errorf("%q: locked is %v", text, got)
		}
	}
}

func TestModulesOfPackages(t *testing.T) {
	for importPath, want := range map[string]string{
		"github.com/google/uuid": "github.com/google/uuid", "github.com/a/b/v3/c": "github.com/a/b/v3", "github.com/a/b/c": "github.com/a/b",
		"golang.org/x/text/language": "golang.org/x/text", "gopkg.in/yaml.v3": "gopkg.in/yaml.v3", "gopkg.in/user/x.v1/y": "gopkg.in/user/x.v1",
		"example.com/a/b": "example.com/a/b", "google.golang.org/grpc/codes": "google.golang.org/grpc", "github.com/x": "github.com/x",
	} {
		if got := moduleIn(importPath); got != want {
			t.Errorf("%s is of %s", importPath, got)
		}
	}
}

func TestPackageNames(t *testing.T) {
	for importPath, name := range map[string]string{
		"github.com/google/uuid": "uuid", "github.com/gofrs/uuid/v5": "uuid", "gopkg.in/yaml.v3": "yaml", "github.com/a/go-redis": "redis",
		"github.com/a/stripe-go": "stripe", "math/rand/v2": "rand", "github.com/a/toml.go": "toml",
	} {
		found := false
		for _, candidate := range packageNames(importPath) {
			found = found || candidate == name
		}
		if !found {
			t.Errorf("%s may not be called %s", importPath, name)
		}
	}
}

func TestArchives(t *testing.T) {
	files := map[string]string{"go.mod": "module m\n", "go.sum": "", "netrc": "machine a\nlogin b"}
	text := formatArchive(files)
	if text != "-- go.mod --\nmodule m\n-- go.sum --\n-- netrc --\nmachine a\nlogin b\n" {
		t.Fatalf("%q", text)
	}
	files["netrc"] += "\n"
	if got := parseArchive(text); !reflect.DeepEqual(got, files) {
		t.Fatalf("%q", got)
	}
}

func checked(t *testing.T, files map[string]string) (*tree, []remark) {
	t.Helper()
	tree := treeOf(t, files)
	if remarks := tree.parse(); len(remarks) > 0 {
		t.Fatal(remarks)
	}
	tree.addImports(goroot(t))
	return tree, tree.checkModule(goroot(t))
}

func TestExternalPackages(t *testing.T) {
	tree, remarks := checked(t, map[string]string{
		"go.mod": "module example.org/app\nrequire example.com/a v1.0.0\nrequire example.com/l v0.0.0\nreplace example.com/l => ./l\n",
		"main.go": "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.com/a/x\"\n\t\"example.com/l\"\n\t\"example.org/app/in\"\n)\n" +
			"var _, _, _, _ = fmt.Print, x.X, l.X, in.X\n",
		"in/in.go": "package in\n\nimport \"example.com/a/y\"\n", "in/in_windows.go": "package in\n\nimport \"example.com/windows\"\n",
		"in/in_test.go": "package in\n\nimport \"example.com/testing\"\n", "l/l.go": "package l\n\nimport \"example.com/a/z\"\n",
	})
	if len(remarks) > 0 {
		t.Fatal(remarks)
	}
	if got := strings.Join(tree.externals(), " "); got != "example.com/a/x example.com/a/y example.com/a/z" {
		t.Fatal(got)
	}
}

func TestMissingModules(t *testing.T) {
	code := "package main\n\nimport _ \"github.com/a/b/c\"\n"
	for manifest, want := range map[string]string{
		"":                        `"dependencies": ["github.com/a/b"]`,
		"module m\n":              "`require github.com/a/b latest`",
		madeOf + "\nmodule m\n":   `add "github.com/a/b" to "dependencies"`,
		"module github.com/a/b\n": "there are no Go files in the folder c",
	} {
		files := map[string]string{"main.go": code}
		if manifest != "" {
			files["go.mod"] = manifest
		}
		_, remarks := checked(t, files)
		if len(remarks) != 1 || remarks[0].line != 3 || remarks[0].column != 10 || !strings.Contains(remarks[0].message, want) {
			t.Errorf("%q: %+v", manifest, remarks)
		}
	}
	_, remarks := checked(t, map[string]string{"main.go": "package main\n\nimport _ \"foo/bar\"\n"})
	if len(remarks) != 1 || !strings.Contains(remarks[0].message, "standard library") {
		t.Error(remarks)
	}
}

func TestDependenciesAreImportedByTheirName(t *testing.T) {
	tree, remarks := checked(t, map[string]string{
		"go.mod":  madeOf + "\nmodule function\n\nrequire github.com/google/uuid latest\nrequire github.com/pkg/errors latest\n",
		"main.go": "func h() { uuid.NewString(); errors.New(``) }\n",
		"more.go": "func g() { errors.Wrap(nil, ``) }\n",
	})
	if len(remarks) > 0 {
		t.Fatal(remarks)
	}
	if got := tree.files[0].header; !strings.Contains(got, `uuid "github.com/google/uuid"`) || !strings.Contains(got, `"errors"`) || strings.Contains(got, "pkg/errors") {
		t.Error(got)
	}
	if got := tree.files[1].header; !strings.Contains(got, `errors "github.com/pkg/errors"`) {
		t.Error(got)
	}
	if got := strings.Join(tree.externals(), " "); got != "github.com/google/uuid github.com/pkg/errors" {
		t.Error(got)
	}
}

func TestVendoredPackages(t *testing.T) {
	tree, remarks := checked(t, map[string]string{
		"go.mod": "module m\nrequire example.com/a v1.0.0\n", "vendor/modules.txt": "# example.com/a v1.0.0\n",
		"vendor/example.com/a/a.go": "package a\n", "main.go": "package main\n\nimport _ \"example.com/a\"\nimport _ \"example.com/a/b\"\n",
	})
	if !tree.vendored || tree.mode() != "vendor" || len(remarks) != 1 || remarks[0].line != 4 || !strings.Contains(remarks[0].message, "go mod vendor") {
		t.Fatal(remarks)
	}
	vendored := map[string]string{"vendor/modules.txt": "# example.com/a v1.0.0\n", "vendor/example.com/a/a.go": "package a\n", "main.go": "package main\n"}
	vendored["go.mod"] = "module m\nrequire example.com/a v1.0.0\nrequire example.com/b v1.0.0\nrequire example.com/c v1.0.0 // indirect\n"
	_, remarks = checked(t, vendored)
	if len(remarks) != 1 || remarks[0].file != "go.mod" || remarks[0].line != 3 || !strings.Contains(remarks[0].message, "example.com/b is required") {
		t.Fatal(remarks)
	}
	vendored["go.mod"] = madeOf + "\nmodule m\nrequire example.com/a/sub latest\nrequire example.com/b latest\n"
	_, remarks = checked(t, vendored)
	if len(remarks) != 1 || remarks[0].file != "" || !strings.Contains(remarks[0].message, "example.com/b is among the dependencies, and not in vendor/") {
		t.Fatal(remarks)
	}
	_, remarks = checked(t, map[string]string{"vendor/modules.txt": "", "main.go": "package main\n"})
	if len(remarks) != 1 || remarks[0].file != "vendor/modules.txt" {
		t.Fatal(remarks)
	}
}

func TestLanguageOfALock(t *testing.T) {
	chain := &toolchain{home: "/home"}
	for _, c := range []struct{ text, want string }{
		{madeOf + "\nmodule function\n", "go " + chain.language()},
		{madeOf + "\nmodule function\n\ngo 1.16\n", "go 1.16"},
		{madeOf + "\nmodule function\n\ngo 1.999\n", "go " + chain.language()},
		{"module mine\n\ngo 1.999\n", "go 1.999"},
	} {
		tree := treeOf(t, map[string]string{"go.mod": c.text})
		if got := parseManifest(tree.moduleFile(chain)).language; "go "+got != c.want {
			t.Errorf("%q: go %s", c.text, got)
		}
	}
}

func TestProxies(t *testing.T) {
	for list, want := range map[string]string{
		"": "https://proxy.golang.org", "https://a,direct": "https://a", "https://a|https://b|direct": "https://a|https://b",
		"https://a,off": "https://a,off", "direct": "off", "https://direct.example": "https://direct.example",
	} {
		if got := proxies(list, false); got != want {
			t.Errorf("%q becomes %q", list, got)
		}
	}
	if got := proxies("", true); got != defaultProxies {
		t.Error(got)
	}
}

func TestDownloadNotes(t *testing.T) {
	tree := treeOf(t, map[string]string{"go.mod": "module m\nrequire github.com/Azure/go v1.0.0\n"})
	for line, want := range map[string]string{
		"# get https://proxy.golang.org/github.com/google/uuid/@v/v1.6.0.zip: 200 OK (0.02s)": "downloaded github.com/google/uuid v1.6.0 (0.02s)",
		"# get http://h:1/base/github.com/!azure/go/@v/v1.0.0.zip: 200 OK (0.02s)":            "downloaded github.com/Azure/go v1.0.0 (0.02s)",
		"# get http://h:1/github.com/%21azure/go/@v/v1.0.0.zip: 200 OK":                       "downloaded github.com/Azure/go v1.0.0",
		"# get https://proxy.golang.org/github.com/google/uuid/@v/v1.6.0.mod: 200 OK (0.02s)": "",
		"# get https://proxy.golang.org/github.com/google/uuid/@v/v1.6.0.zip":                 "",
	} {
		if got := tree.downloadNote(line); got != want {
			t.Errorf("%s\ngives %q", line, got)
		}
	}
}

func TestProblemsOfModules(t *testing.T) {
	const manifest = "module m\n\ngo 1.16\n\nrequire example.com/a v1.0.0\n"
	for said, want := range map[string]struct {
		line    int
		part    string
		offline bool
	}{
		"go: example.com/a@v1.0.0: reading http://h/example.com/a/@v/v1.0.0.mod: 404 Not Found":                       {5, "the module example.com/a@v1.0.0 is not found", false},
		"go: example.com/a@v1.0.0: reading http://h: 404 Not Found\n\tserver response: unknown revision v1.0.0":       {5, "no such version of example.com/a@v1.0.0", false},
		"verifying example.com/a@v1.0.0: checksum mismatch\n\tdownloaded: h1:x\n\tgo.sum: h1:y\n\nSECURITY ERROR\nx":  {5, "go.sum: h1:y", false},
		"go: example.com/a@v1.0.0: Get \"http://h\": dial tcp: lookup h: no such host":                                {5, "build.network", true},
		"go: example.com/a@v1.0.0: verifying go.mod: Get \"https://s\": dial tcp: lookup s: no such host":             {5, "checksum database", true},
		"go: example.com/a@v1.0.0: module lookup disabled by GOPROXY=off":                                             {5, "GOPROXY", true},
		"go: example.com/a@v1.0.0: reading http://h: 502 Bad Gateway":                                                 {5, "could not be fetched", true},
		"go: example.com/a@v1.0.0: reading http://h: 401 Unauthorized":                                                {5, "~/.netrc", false},
		"go: example.com/a@v1.0.0 requires example.com/b@v1.2.0, not example.com/b@v1.0.0":                            {5, "exclude each other", false},
		"go: go.mod requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)":                                       {3, "Lower its `go` line", false},
		"go: example.com/a@v1.0.0 requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)":                         {5, "needs a newer Go", false},
		"package m\n\timports example.com/a: build constraints exclude all Go files in example.com/a@v1.0.0":          {5, "cgo", false},
		"go: errors parsing go.mod:\n/src/go.mod:5: require example.com/a: version \"x\" invalid: unknown revision x": {5, "no such version", false},
		"# example.com/a\nexample.com/a@v1.0.0/x.go:7:3: undefined: y":                                                {5, "example.com/a@v1.0.0 does not compile with this Go: x.go:7:3", false},
	} {
		tree := treeOf(t, map[string]string{"go.mod": manifest})
		remarks, err := tree.explainBuild(&toolchain{}, said, "/src")
		if err != nil || len(remarks) != 1 {
			t.Errorf("%q: %v %v", said, remarks, err)
			continue
		}
		if r := remarks[0]; r.file != "go.mod" || r.line != want.line || !strings.Contains(r.message, want.part) || tree.offline != want.offline {
			t.Errorf("%q:\n%+v %v", said, r, tree.offline)
		}
	}
	// Who wrote no go.mod is shown no line of it.
	tree := treeOf(t, map[string]string{"go.mod": madeOf + "\nmodule m\nrequire example.com/a v1.0.0\n"})
	remarks, _ := tree.explainBuild(&toolchain{}, "go: example.com/a@v1.0.0: reading http://h: 404 Not Found", "/src")
	if len(remarks) != 1 || remarks[0].file != "" || remarks[0].line != 0 {
		t.Error(remarks)
	}
	if _, err := tree.explainBuild(&toolchain{}, "main.go:3:8: missing go.sum entry for module providing package x", "/src"); err != errIncomplete {
		t.Error(err)
	}
}

func TestLinkedCaches(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(from, "ab"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "ab", "x-d"), []byte("x"), 0o444); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 2; i++ { // also over one that has the entries
		if err := linkCache(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(to, "ab", "x-d")); err != nil || string(text) != "x" {
		t.Fatal(string(text), err)
	}
}
