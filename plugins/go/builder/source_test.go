package main

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func goroot(t *testing.T) string {
	t.Helper()
	return runtime.GOROOT()
}

func treeOf(t *testing.T, files map[string]string) *tree {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := readTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestOffsetsLeadBackThroughRepairs(t *testing.T) {
	f := &file{bare: true, original: []byte("\ufeffabcdef"), repairs: []edit{{at: 0, remove: 3}, {at: 5, insert: ","}, {at: 7, insert: ","}}}
	if got := string(f.parsedText()); got != barePackage+"ab,cd,ef" {
		t.Fatalf("parsed text is %q", got)
	}
	var origins []int
	for i := range "ab,cd,ef" {
		origins = append(origins, f.origin(len(barePackage)+i))
	}
	if want := []int{3, 4, 5, 5, 6, 7, 7, 8}; !reflect.DeepEqual(origins, want) {
		t.Fatalf("offsets lead to %v, not %v", origins, want)
	}
}

func TestPlacesCountCharacters(t *testing.T) {
	f := &file{original: []byte("ab\nüö x\n")}
	if line, column := f.place(8); line != 2 || column != 4 {
		t.Fatalf("place is %d:%d", line, column)
	}
	if column := f.columnOf(2, 6); column != 4 {
		t.Fatalf("column is %d", column)
	}
	if column := f.columnOf(9, 6); column != 6 {
		t.Fatalf("column of a line that is not there is %d", column)
	}
}

func TestBareFiles(t *testing.T) {
	for text, bare := range map[string]bool{
		"func f() {}": true, "": true, "import \"fmt\"": true, "// package x\nvar a = 1": true,
		"package x": false, "// comment\n/* more */ package x\n": false, "//go:build linux\n\npackage x": false,
	} {
		if isBare([]byte(text)) != bare {
			t.Errorf("%q: bare is not %v", text, bare)
		}
	}
}

func TestImportsOfBareFiles(t *testing.T) {
	for code, want := range map[string]string{
		"func h() { fmt.Println(strings.ToUpper(`x`)) }":           `import ("fmt"; "strings"); `,
		"func h() { rand.Intn(3) }":                                `import ("math/rand"); `,
		"func h() { rand.Prime(nil, 3) }":                          `import ("crypto/rand"); `,
		"func h() { template.HTMLEscapeString(``) }":               `import ("text/template"); `,
		"func h() { var _ template.HTML }":                         `import ("html/template"); `,
		"func h() { sha256.Sum256(nil); atomic.AddInt32(nil, 1) }": `import ("crypto/sha256"; "sync/atomic"); `,
		"func h(json map[string]int) { _ = json.x; nothing.Y() }":  ``,
		"import \"fmt\"\nfunc h() { fmt.Println(os.Args) }":        `import ("os"); `,
		"var fmt struct{ A int }\nfunc h() { _ = fmt.A }":          ``,
	} {
		tree := treeOf(t, map[string]string{"main.go": code})
		if remarks := tree.parse(); len(remarks) > 0 {
			t.Fatal(code, remarks)
		}
		tree.addImports(runtime.GOROOT())
		if got := tree.files[0].header; got != barePackage+want+"/*line :1:1*/" {
			t.Errorf("%s\ngot %q", code, got)
		}
	}
}

func TestNamesTheModuleThatIsMissing(t *testing.T) {
	tree := treeOf(t, map[string]string{"main.go": "func h() int { return uuid.New() + odd.X() + plain }\n"})
	tree.parse()
	for name, want := range map[string]string{"uuid": `"dependencies": ["github.com/google/uuid"]`, "odd": `"dependencies": ["example.com/odd"]`} {
		if got := tree.explain("main.go", "undefined: "+name); !strings.Contains(got, want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if got := tree.explain("main.go", "undefined: plain"); got != "undefined: plain" {
		t.Errorf("got %q", got)
	}
}

func TestTranslatesWhatTheCompilerSays(t *testing.T) {
	tree := treeOf(t, map[string]string{"main.go": "package main\n\nvar ü, x int = 1, y\n"})
	tree.parse()
	got := tree.translate("# function\n./main.go:3:20: undefined: y\n\thave (int)\n/build/src/main.go:1:2: other\n"+
		"./cloudfunction__adapter.go:1:5: consequence\ngo: go.mod:3: bad\nnote: nothing\n", "/build/src")
	want := []remark{
		{file: "main.go", line: 3, column: 19, message: "undefined: y; have (int)"},
		{file: "main.go", line: 1, column: 2, message: "other"},
		{file: "go.mod", line: 3, message: "bad"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v", got)
	}
	if got := tree.translate("./cloudfunction__adapter.go:1:5: only this\n", "/build/src"); len(got) != 1 || got[0].file != "" {
		t.Fatalf("got %+v", got)
	}
}
