package main

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"
)

// tree is the user's folder. The .go files at its top are the function's package, whatever they call it: they are
// compiled as package main, beside a generated main. Everything below is left as it is.
type tree struct {
	dir     string
	files   []*file // those of the function's package that the compiler will see
	module  string  // module path, "function" where the user has no go.mod
	handler remark  // the place of the handler's name
	fileSet *token.FileSet

	goMod, goSum []byte // nil where there is none
	manifest     *manifest
	wanted       []requirement   // of a go.mod made of "dependencies", to be resolved
	locked       bool            // goMod and goSum are no longer the user's, but of a lock
	vendored     bool            // the user sent vendor/ with it
	offline      bool            // nobody answered who was asked for modules
	external     map[string]bool // packages of other modules that the function imports
}

// file is one source file. It is changed only by edits, so that every offset of the changed text leads back to the
// user's own line and column. Offsets of edits are the original's.
type file struct {
	name     string
	original []byte
	bare     bool   // no package clause: imports supplies one
	repairs  []edit // what the parser needs to read it; positions in ast count in the text with these
	changes  []edit // what the compiler needs beyond that
	header   string // of a bare file: its package clause and imports
	adapter  string // generated code at the end
	ast      *ast.File
	imports  map[string]string // name in this file -> import path
	added    []string          // import paths that its header adds
}

// edits of one list do not overlap.
type edit struct {
	at, remove int
	insert     string
}

func readTree(dir string) (*tree, error) {
	t := &tree{dir: dir, module: "function", fileSet: token.NewFileSet()}
	if err := t.readManifest(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() {
			continue
		}
		if !isSource(name) {
			continue
		}
		f := &file{name: name}
		if f.original, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		if f.bare = isBare(f.original); f.bare {
			if strings.HasPrefix(string(f.original), byteOrderMark) {
				f.repairs = append(f.repairs, edit{at: 0, remove: len(byteOrderMark)})
			}
		} else if !t.builds(name) {
			continue
		}
		t.files = append(t.files, f)
	}
	return t, nil
}

func isSource(name string) bool {
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") &&
		!strings.HasPrefix(name, "_") && !strings.HasPrefix(name, ".")
}

// builds tells whether a file's name and build constraints mean this platform. A file that cannot be read as far as
// its constraints is kept: the parser says what is wrong with it.
func (t *tree) builds(name string) bool {
	context := build.Default
	context.GOOS, context.CgoEnabled = "linux", true
	match, err := context.MatchFile(t.dir, name)
	return match || err != nil
}

// isBare tells whether the first word of a file is something else than `package`.
func isBare(text []byte) bool {
	var s scanner.Scanner
	set := token.NewFileSet()
	s.Init(set.AddFile("", set.Base(), len(text)), text, nil, 0)
	_, first, _ := s.Scan()
	return first != token.PACKAGE
}

const barePackage, byteOrderMark = "package main; ", "\ufeff"

// parsedText is what the parser reads.
func (f *file) parsedText() []byte {
	header := ""
	if f.bare {
		header = barePackage
	}
	return append([]byte(header), apply(f.original, f.repairs)...)
}

// finalText is what the compiler reads.
func (f *file) finalText() []byte {
	edits := append(append([]edit(nil), f.repairs...), f.changes...)
	return append(append([]byte(f.header), apply(f.original, edits)...), f.adapter...)
}

func apply(text []byte, edits []edit) []byte {
	sort.SliceStable(edits, func(i, j int) bool { return edits[i].at < edits[j].at })
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, text[at:e.at]...), e.insert...)
		at = e.at + e.remove
	}
	return append(out, text[at:]...)
}

// origin leads an offset of parsedText back to the original.
func (f *file) origin(offset int) int {
	if f.bare {
		offset -= len(barePackage)
	}
	for _, e := range f.repairs {
		if offset < e.at {
			break
		}
		if offset < e.at+len(e.insert) {
			return e.at
		}
		offset += e.remove - len(e.insert)
	}
	if offset < 0 {
		return 0
	}
	if offset > len(f.original) {
		return len(f.original)
	}
	return offset
}

// place gives the line and the column in characters of an offset of the original.
func (f *file) place(offset int) (line, column int) {
	before := f.original[:offset]
	start := 0
	for i, c := range before {
		if c == '\n' {
			line++
			start = i + 1
		}
	}
	return line + 1, utf8.RuneCount(before[start:]) + 1
}

// columnOf turns the compiler's column, in bytes, into one in characters.
func (f *file) columnOf(line, bytes int) int {
	text := f.original
	for ; line > 1; line-- {
		end := strings.IndexByte(string(text), '\n')
		if end < 0 {
			return bytes
		}
		text = text[end+1:]
	}
	if bytes < 1 || bytes-1 > len(text) {
		return bytes
	}
	return utf8.RuneCount(text[:bytes-1]) + 1
}

// remarkAt is a remark on an offset of parsedText.
func (f *file) remarkAt(offset int, message string) remark {
	line, column := f.place(f.origin(offset))
	return remark{file: f.name, line: line, column: column, message: message}
}

func (t *tree) offset(pos token.Pos) int { return t.fileSet.PositionFor(pos, false).Offset }

func (t *tree) remarkOn(f *file, node ast.Node, message string) remark {
	return f.remarkAt(t.offset(node.Pos()), message)
}

// A missing comma at the end of a line of a composite literal is the one thing that is repaired: the parser names
// the exact place, and nothing else can be meant there.
const missingComma = "missing ',' before newline in composite literal"

const maxRepairs = 1000

// parse reads all files. Files that cannot be read leave remarks.
func (t *tree) parse() []remark {
	var remarks []remark
	packageName := ""
	for _, f := range t.files {
		remarks = append(remarks, t.parseFile(f)...)
		if f.ast == nil || f.bare {
			continue
		}
		if name := f.ast.Name.Name; packageName == "" {
			packageName = name
		} else if name != packageName {
			remarks = append(remarks, t.remarkOn(f, f.ast.Name, "the files of one folder are one package: this one says "+
				name+", another one "+packageName))
		}
	}
	return remarks
}

func (t *tree) parseFile(f *file) []remark {
	var remarks []remark
	for repairs := 0; ; repairs++ {
		parsed, err := parser.ParseFile(t.fileSet, f.name, f.parsedText(), parser.ParseComments)
		if err == nil {
			f.ast = parsed
			return remarks
		}
		problems, ok := err.(scanner.ErrorList)
		if !ok || len(problems) == 0 {
			return append(remarks, remark{file: f.name, message: err.Error()})
		}
		if first := problems[0]; first.Msg == missingComma && repairs < maxRepairs {
			at := f.origin(f.tokenEnd(first.Pos.Offset))
			line, column := f.place(at)
			remarks = append(remarks, remark{warning: true, file: f.name, line: line, column: column,
				message: "a comma is missing at the end of this line of a composite literal; the function was built as if it were there"})
			f.repairs = append(f.repairs, edit{at: at, insert: ","})
			continue
		}
		for _, problem := range problems {
			remarks = append(remarks, f.remarkAt(problem.Pos.Offset, "syntax error: "+problem.Msg))
		}
		return remarks
	}
}

// tokenEnd is where the last token before an offset of parsedText ends: the parser complains at the end of the line,
// which may lie behind a comment.
func (f *file) tokenEnd(offset int) int {
	var s scanner.Scanner
	text := f.parsedText()
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(text))
	s.Init(file, text, nil, 0)
	end := offset
	for {
		pos, kind, literal := s.Scan()
		at := file.Offset(pos)
		if kind == token.EOF || at >= offset {
			return end
		}
		switch {
		case kind == token.SEMICOLON && literal == "\n":
		case literal != "":
			end = at + len(literal)
		default:
			end = at + len(kind.String())
		}
	}
}
