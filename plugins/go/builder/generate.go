package main

import (
	"fmt"
	"go/ast"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Generated names begin with this; the worker leaves them out of stacks by it.
const own = "cloudfunction__"

const (
	workerModule = "cloudfunction.local/worker"
	adapterFile  = own + "adapter.go"
)

// generate writes the module to compile into `target`: the user's folder, with the function's files changed where they
// must be, a main beside them, and a go.mod that knows the worker.
func (t *tree) generate(target string, h *handler, chain *toolchain) error {
	if err := copyFolder(t.dir, target); err != nil {
		return err
	}
	if h.event == typedEvent {
		// In the handler's own file, because only there the names in its type mean what they mean.
		kind := t.sourceOf(h.file, h.eventType)
		h.file.adapter = fmt.Sprintf("\n\n//line %[1]s:1\nfunc %[2]sevent() *%[3]s { var %[2]svalue %[3]s; return &%[2]svalue }\n", adapterFile, own, kind)
	}
	for _, f := range t.files {
		t.becomeMain(f)
		if err := os.WriteFile(filepath.Join(target, f.name), f.finalText(), 0o644); err != nil {
			return err
		}
	}
	main := filepath.Join(target, own+"main.go")
	if err := os.WriteFile(main, []byte(h.mainSource(t.module)), 0o644); err != nil {
		return err
	}
	if err := t.vendorWorker(target, chain); err != nil {
		return err
	}
	if t.goSum != nil {
		if err := os.WriteFile(filepath.Join(target, "go.sum"), t.goSum, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(target, "go.mod"), t.moduleFile(chain), 0o644)
}

// becomeMain has a file declare package main, and takes the name off a main function of the user's: the program's
// main is the generated one, but what the user's mentions must go on to count as used.
func (t *tree) becomeMain(f *file) {
	if !f.bare && f.ast.Name.Name != "main" {
		at := f.origin(t.offset(f.ast.Name.Pos()))
		end := at + len(f.ast.Name.Name)
		line, column := f.place(end)
		rest := string(f.original[end:])
		if newline := strings.IndexByte(rest, '\n'); newline >= 0 {
			rest = rest[:newline]
		}
		insert := "main"
		if strings.TrimSpace(rest) != "" {
			insert += fmt.Sprintf("/*line :%d:%d*/", line, column)
		}
		f.changes = append(f.changes, edit{at: at, remove: end - at, insert: insert})
	}
	for _, declaration := range f.ast.Decls {
		if d, ok := declaration.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "main" {
			at := f.origin(t.offset(d.Name.Pos()))
			f.changes = append(f.changes, edit{at: at, remove: len("main"), insert: "_   "})
		}
	}
}

// mainSource has nothing but keywords and names with the prefix: the user's package may declare every other name, also
// those that Go predeclares. A $ stands for the prefix; no Go source has one.
func (h *handler) mainSource(module string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package main\n\nimport $worker %q\n\n", workerModule)
	fmt.Fprintf(&b, "func main() {\n\t$worker.Serve($worker.Function{Handler: %q, Module: %q, Invoke: $invoke})\n}\n\n", h.name, module)
	b.WriteString("func $invoke($call *$worker.Call) {\n")
	const checked = "\tif !$ok {\n\t\treturn\n\t}\n"
	event := ""
	switch h.event {
	case unusedEvent:
		event = "$worker.NoEvent"
	case anyEvent:
		event = "$event"
		b.WriteString("\t$event, $ok := $call.Any()\n" + checked)
	case objectEvent:
		event = "$event"
		b.WriteString("\t$event, $ok := $call.Object()\n" + checked)
	case typedEvent:
		event = "*$target"
		b.WriteString("\t$target := $event()\n\t$ok := $call.Decode($target)\n" + checked)
	}
	context := map[contextForm]string{unusedStrings: "$worker.NoStrings", unusedValues: "$worker.NoValues",
		stringsContext: "$call.Strings()", valuesContext: "$call.Values()", goContext: "$call.Context()"}[h.context]
	arguments := []string{event, context}
	if h.contextFirst {
		arguments = []string{context, event}
	}
	call := h.name + "(" + strings.Trim(strings.Join(arguments, ", "), ", ") + ")"
	switch h.result {
	case noResult:
		b.WriteString("\t" + call + "\n\t$call.ReturnNothing()\n")
	case valueResult:
		b.WriteString("\t$call.ReturnValue(" + call + ")\n")
	case errorResult:
		b.WriteString("\t$call.ReturnError(" + call + ")\n")
	case valueAndErrorResult:
		b.WriteString("\t$call.Return(" + call + ")\n")
	}
	b.WriteString("}\n")
	return strings.ReplaceAll(b.String(), "$", own)
}

// moduleFile is the function's go.mod, or one that asks for the language of the toolchain, and the worker's place.
func (t *tree) moduleFile(chain *toolchain) []byte {
	text := string(t.goMod)
	if t.goMod == nil {
		text = "module " + t.module + "\n"
	}
	if m := parseManifest([]byte(text)); t.goMod == nil || m.made {
		// A lock's language stays with the function, but for one that this Go is too old for.
		if m.language == "" {
			text += "\ngo " + chain.language() + "\n"
		} else if isNewer(m.language, chain.language()) {
			text = goLine.ReplaceAllString(text, "go "+chain.language())
		}
	}
	return []byte(text + "\nrequire " + workerModule + " v0.0.0\n\nreplace " + workerModule + " => " + strconv.Quote(chain.worker()) + "\n")
}

var goLine = regexp.MustCompile(`(?m)^go \S+$`)

// isNewer compares versions of the language: "1.9", "1.21", "1.21.3".
func isNewer(a, b string) bool {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	return x[0] > y[0] || x[0] == y[0] && x[1] > y[1]
}

func (c *toolchain) worker() string { return filepath.Join(c.home, "worker") }

// vendorWorker adds the worker to a vendor/ folder of the user's: beside one, the go command takes no module from
// elsewhere.
func (t *tree) vendorWorker(target string, chain *toolchain) error {
	if !t.vendored {
		return nil
	}
	if err := copyFolder(chain.worker(), filepath.Join(target, "vendor", filepath.FromSlash(workerModule))); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(chain.worker(), "go.mod"))
	if err != nil {
		return err
	}
	list, err := os.OpenFile(filepath.Join(target, "vendor", "modules.txt"), os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(list, "\n# %[1]s v0.0.0 => %[2]s\n## explicit; go %[3]s\n%[1]s\n# %[1]s => %[2]s\n", workerModule, chain.worker(),
		parseManifest(text).language)
	if closed := list.Close(); err == nil {
		err = closed
	}
	return err
}

// copyFolder copies the regular files below `from`; the function may read, embed or import any of them.
func copyFolder(from, to string) error {
	return filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if info.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		// Tests are not built, and those beside the handler are of a package that is called main by now.
		if !info.Mode().IsRegular() || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
