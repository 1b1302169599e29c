package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The go command runs this program as its -toolexec.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "observe" {
		fail(observe(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

func realToolchain(t *testing.T) *toolchain {
	t.Helper()
	home, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	c := &toolchain{root: goroot(t), home: home, scratch: t.TempDir()}
	cache, err := exec.Command(filepath.Join(c.root, "bin", "go"), "env", "GOCACHE").Output()
	if err != nil {
		t.Skip("no go command: ", err)
	}
	c.cache = strings.TrimSpace(string(cache))
	return c
}

func readProgram(t *testing.T, path string) []byte {
	t.Helper()
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// folderWithRecipe records one for functions without a go.mod that import no more than fmt.
func folderWithRecipe(t *testing.T, c *toolchain) string {
	t.Helper()
	folder := t.TempDir()
	text := treeOf(t, nil).moduleFile(c)
	r, err := c.record(text, nil, []string{"fmt"}, map[string]string{"<cache>": c.cache})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.keep(folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestARecipeIsForOneWorker(t *testing.T) {
	c := realToolchain(t)
	o := &options{chain: c, packages: folderWithRecipe(t, c)}
	tree := treeOf(t, nil)
	if o.recipe(tree) == nil {
		t.Fatal("the recipe does not fit its own worker")
	}
	later := *c
	later.home = t.TempDir()
	worker := filepath.Join(later.home, "worker")
	if err := os.Mkdir(worker, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(worker, "call.go"), []byte("package worker\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o.chain = &later
	if o.recipe(tree) != nil {
		t.Fatal("the recipe fits another worker")
	}
}

func TestARecipeMakesWhatTheGoCommandMakes(t *testing.T) {
	c := realToolchain(t)
	source := treeOf(t, map[string]string{
		"a.go": "package a\n\nimport \"fmt\"\n\nfunc handler(event map[string]interface{}) string { return fmt.Sprint(event, b()) }\n",
		"b.go": "package a\n\nfunc b() int { return 7 }\n"}).dir
	folder := folderWithRecipe(t, c)
	outputs := t.TempDir()
	build := func(chain toolchain, packages, name string) []byte {
		chain.scratch = t.TempDir()
		output := filepath.Join(outputs, name)
		if remarks, err := buildProgram(&options{source: source, output: output, handler: "handler", packages: packages, chain: &chain}, nil); err != nil || len(remarks) > 0 {
			t.Fatal(name, err, remarks)
		}
		return readProgram(t, output)
	}
	byGo := build(*c, "", "byGo")

	without := *c // a go command
	without.root = t.TempDir()
	for _, name := range []string{"pkg", "src"} {
		if err := os.Symlink(filepath.Join(c.root, name), filepath.Join(without.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	byRecipe := build(without, folder, "byRecipe")
	if len(byGo) != len(byRecipe) {
		t.Fatalf("%d bytes by recipe, %d by the go command", len(byRecipe), len(byGo))
	}
	differ := 0
	for i := range byGo {
		if byGo[i] != byRecipe[i] {
			differ++
		}
	}
	if differ > 200 { // two build ids of 83 characters
		t.Fatalf("%d bytes differ", differ)
	}
}

func TestWhatARecipeCannotBuildTheGoCommandExplains(t *testing.T) {
	c := realToolchain(t)
	folder := folderWithRecipe(t, c)
	source := treeOf(t, map[string]string{"a.go": "func handler(event string) int { return event }\n"}).dir
	remarks, err := buildProgram(&options{source: source, output: filepath.Join(t.TempDir(), "main"), handler: "handler",
		packages: folder, chain: c}, nil)
	if err != nil || len(remarks) != 1 || remarks[0].file != "a.go" || remarks[0].line != 1 || !strings.Contains(remarks[0].message, "cannot use event") {
		t.Fatal(err, remarks)
	}
}

func TestRecipesAreForWhatTheyWereRecordedWith(t *testing.T) {
	c := &toolchain{root: goroot(t), home: ".."}
	worker, err := c.workerDigest()
	if err != nil {
		t.Fatal(err)
	}
	const handler = "func handler(event string) string { return fmt.Sprint(event) }\n"
	plain := map[string]string{"a.go": handler}
	with := func(name, text string) map[string]string { return map[string]string{"a.go": handler, name: text} }
	r := &recipe{Worker: worker, Imports: []string{"fmt", "embed"}}
	for _, example := range []struct {
		name  string
		files map[string]string
		fits  bool
	}{
		{"one file", plain, true},
		{"two files", with("b.go", "package main\n\nimport (\n\t\"fmt\"\n\t\"unsafe\"\n)\n\nvar B = fmt.Sprint(unsafe.Sizeof(1))\n"), true},
		{"a file that is none of Go's", with("data.json", "{}"), true},
		{"another package", with("b.go", "package main\n\nimport \"strings\"\n\nvar B = strings.ToUpper(\"b\")\n"), false},
		{"another package for its side effects", with("b.go", "package main\n\nimport _ \"image/png\"\n"), false},
		{"an internal package", with("b.go", "package main\n\nimport \"internal/abi\"\n\nvar B = abi.FuncPCABI0\n"), false},
		{"embedded files", with("b.go", "package main\n\nimport _ \"embed\"\n\n//go:embed a.go\nvar B string\n"), false},
		{"settings of the runtime", with("b.go", "//go:debug madvdontneed=1\npackage main\n"), false},
		{"constraints", with("b.go", "//go:build cgo\n\npackage main\n"), false},
		{"constraints of old", with("b.go", "// +build cgo\n\npackage main\n"), false},
		{"assembler", with("b.s", "TEXT x(SB), 0, $0\n"), false},
		{"a profile", with("default.pgo", ""), false},
		{"a go.mod", with("go.mod", "module elsewhere\n\ngo 1.16\n"), false},
	} {
		tree := treeOf(t, example.files)
		if remarks := tree.parse(); len(remarks) > 0 {
			t.Fatal(example.name, remarks)
		}
		tree.addImports(c.root)
		r.Module = strings.ReplaceAll(string(treeOf(t, plain).moduleFile(c)), c.home, "<home>")
		if r.fits(tree, c) != example.fits {
			t.Errorf("%s: fits is not %v", example.name, example.fits)
		}
	}
	tree := treeOf(t, with("go.mod", "module function\nreplace example.com/x => ./x\n"))
	if tree.standsAlone() {
		t.Error("a folder that stands for a module is in no go.sum")
	}
}
